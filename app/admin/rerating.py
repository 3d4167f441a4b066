"""Wrong prices: what correcting one would do, its mail, and the click that gives back what was too much."""

from datetime import datetime
from typing import Any, cast

from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user
from sqlalchemy import select
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length

from app.admin.access import owners_only
from app.admin.cell_formats import moment, per_million
from app.admin.cell_links import ACCOUNT_NAME
from app.admin.form_fields import DollarsPerMillion, Moment, Required, RowForm, choices_of
from app.admin.model_view import AdminPage
from app.admin.prices import BUCKET_NAMES
from app.extensions import db
from app.jobs import JobName, enqueue
from app.mail_message import compose
from app.mailer import link
from app.models.billing.rerating import Rerating, totals
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.refusal import PricingError
from app.models.metering.usage import Usage
from app.models.operations.audit_log import AdminChange
from app.notifications import price_mails

SHOWN = 50


def sold_prices() -> list[SelectChoice]:
    """The price rows that calls were sold at, the newest first."""
    sold = select(Usage.price_id).where(Usage.price_id == ModelPrice.id).exists()
    rows = select(ModelPrice, AIModel.title).join(AIModel).where(sold).order_by(ModelPrice.id.desc())
    return choices_of((price.id, text_of(price, title)) for price, title in db.session.execute(rows))


def text_of(price: ModelPrice, title: str) -> str:
    figures = f"{per_million(price.uncached_input_nanos)} / {per_million(price.output_nanos)}"
    tier = f" ({price.tier})" if price.tier else ""
    return f"{title}{tier}, {figures}, from {moment(price.effective_from)} (row {price.id})"


class RightPrice(RowForm):
    """The right figures; an empty one stays as it was sold."""

    price_id = SelectField("Sold at", choices=sold_prices, coerce=int, validators=[Required()])
    since = Moment("Wrong from (UTC)", validators=[Required()])
    until = Moment("Until (UTC)", validators=[Required()], description="Calls that began in this period.")
    uncached_input_nanos = DollarsPerMillion("Input", description="Leave empty to keep the price that was charged.")
    cache_read_nanos = DollarsPerMillion("Cache read")
    cache_write_5m_nanos = DollarsPerMillion("Cache write, 5 min")
    cache_write_1h_nanos = DollarsPerMillion("Cache write, 1 h")
    output_nanos = DollarsPerMillion("Output")
    long_uncached_input_nanos = DollarsPerMillion("Input, long context")
    long_output_nanos = DollarsPerMillion("Output, long context")
    image_nanos = DollarsPerMillion("An image")
    search_nanos = DollarsPerMillion("A search")
    reason = StringField(
        "Reason", validators=[Length(max=200)], description="Customers see it in the email and on receipts."
    )

    @property
    def when(self) -> tuple[datetime, datetime]:
        return cast(tuple[datetime, datetime], (self.since.data, self.until.data))

    @property
    def figures(self) -> dict[str, int | None]:
        return {field.name: field.data for field in self if field.name.endswith("_nanos") and field.data is not None}


GROUPS = {
    "Which calls": ("price_id", "since", "until", "reason"),
    "The right price, in dollars per million tokens": (
        "uncached_input_nanos", "cache_read_nanos", "cache_write_5m_nanos", "cache_write_1h_nanos", "output_nanos",
        "long_uncached_input_nanos", "long_output_nanos", "image_nanos", "search_nanos",
    ),
}  # fmt: skip


class ReratingPage(AdminPage):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        return self.listed(RightPrice())

    def listed(self, form: RightPrice) -> str:
        rows = select(Rerating).order_by(Rerating.id.desc()).limit(SHOWN)
        return self.render("admin/reratings.html", reratings=db.session.scalars(rows).all(), form=form, groups=GROUPS)

    @expose("/", methods=("POST",))
    @owners_only
    def begin_view(self) -> ResponseReturnValue:
        """Keep what was typed, and have a worker find what it would do."""
        form = RightPrice(request.form)
        if not form.validate():
            return self.listed(form), 422
        price = db.session.get_one(ModelPrice, form.price_id.data)
        try:
            rerating = Rerating.begin(
                price, form.figures, *form.when, reason=form.reason.data or "", by_id=current_user.user_id
            )
        except PricingError as fault:
            flash(str(fault), "error")
            return self.listed(form), 422
        db.session.commit()
        enqueue(JobName.RERATE, rerating.id)
        return redirect(self.get_url(".details_view", id=rerating.id))

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        rerating = self.one(request.args.get("id"))
        over = rerating.preview.get("over_nanos", 0)
        return self.render(
            "admin/rerating.html",
            rerating=rerating,
            figures=compared(rerating),
            largest=largest(rerating),
            came=totals(rerating),
            mail=mail_of(rerating, over) if over else "",
        )

    @expose("/apply/", methods=("POST",))
    @owners_only
    def apply_view(self) -> ResponseReturnValue:
        """Give back what was too much; a worker does it account by account."""
        rerating = self.one(request.form.get("id"))
        db.session.refresh(rerating, with_for_update=True)
        if rerating.state != "previewed":
            abort(409)
        rerating.state = "applying"
        changes = {"price": [None, f"row {rerating.price_id} corrected"]}
        AdminChange.note(current_user.user_id, "correct", rerating, reason=rerating.reason, changes=changes)
        db.session.commit()
        enqueue(JobName.RERATE, rerating.id)
        return self.go_back("Credits are being given back, account by account.", ".details_view", id=rerating.id)

    def one(self, identifier: str | None) -> Rerating:
        return Rerating.find(identifier or "") or abort(404)


def compared(rerating: Rerating) -> list[list[str]]:
    """(what, as it was sold, right) of the figures that differ."""
    names = {f"{bucket}_nanos": text for bucket, text in BUCKET_NAMES.items()}
    names |= {f"long_{name}": f"{text}, long context" for name, text in names.items()}
    names |= {"image_nanos": "An image", "search_nanos": "A search"}
    return [
        [text, per_million(getattr(rerating.price, name)), per_million(rerating.figures[name])]
        for name, text in names.items()
        if getattr(rerating.price, name) != rerating.figures[name]
    ]


def largest(rerating: Rerating) -> list[tuple[Any, int, int, int]]:
    """The accounts that it means most to: (account's id and name, calls, over, under)."""
    rows = rerating.preview.get("largest", [])
    named = select(Account.id, ACCOUNT_NAME).where(Account.id.in_([row[1] for row in rows]))
    accounts = {account.id: account for account in db.session.execute(named)}
    return [(accounts[account_id], calls, over, under) for over, account_id, under, calls in rows]


def mail_of(rerating: Rerating, returned: int) -> str:
    """The mail, with the sum of all as its figure."""
    context: dict[str, Any] = price_mails.correction_texts(rerating, returned)
    context |= {"account_name": "", "billing_url": link("billing.overview")}
    context |= {"brand_name": Setting.get("brand_name"), "support_email": Setting.get("support_email")}
    message = compose(current_user.email, "price_corrected", context)
    return f"{message.subject}\n\n{message.body}"
