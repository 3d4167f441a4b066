"""The price list: what each model costs, since when, and who approved it. What was sold at never changes."""

from datetime import datetime, time
from typing import Any, ClassVar
from zoneinfo import ZoneInfoNotFoundError

from flask import abort, g, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla.filters import FilterEqual
from flask_login import current_user
from sqlalchemy import or_, select
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Regexp

from app.admin.access import owners_only
from app.admin.cell_formats import moment, per_million, shown
from app.admin.form_fields import (
    Count,
    Dates,
    DollarsPerMillion,
    FieldError,
    Moment,
    Required,
    RowForm,
    TimeOfDay,
    Weekdays,
    choices_of,
)
from app.admin.model_view import AdminTable
from app.catalog.price_import import times_of
from app.catalog.price_source import SINCE_EVER
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import WHOLE_DAY, price_tier, zone_named
from app.models.catalog.rates import INPUT_BUCKETS
from app.models.identity.user import User
from app.providers.base import TOKEN_BUCKETS
from app.web.formatting import number

COPIED = [column.key for column in ModelPrice.__table__.columns if column.key not in {"id", "created_at"}]
BUCKET_NAMES = {
    "uncached_input": "Input", "cache_read": "Cache read", "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h", "output": "Output",
}  # fmt: skip


def models() -> list[SelectChoice]:
    named = db.session.execute(select(AIModel.id, AIModel.name).order_by(AIModel.name))
    return choices_of((row.id, row.name) for row in named)


def per_million_tokens(label: str, **options: Any) -> DollarsPerMillion:
    return DollarsPerMillion(f"{label}, per million tokens", **options)


class PriceForm(RowForm):
    model_id = SelectField("Model", choices=models, coerce=int, validators=[Required()])
    service_tier = StringField(
        "Service tier",
        validators=[Length(max=32), Regexp(r"[\w-]*$", message="One word.")],
        description="Empty: the default tier. Otherwise the provider's name for it, such as flex or priority.",
    )
    effective_from = Moment("From (UTC)", description="Empty: now. Earlier calls keep their price.")
    uncached_input_nanos = per_million_tokens("Input", validators=[Required()])
    cache_read_nanos = per_million_tokens("Cache read", description="Empty: as input.")
    cache_write_5m_nanos = per_million_tokens("Cache write, 5 min", description="Empty: as input.")
    cache_write_1h_nanos = per_million_tokens("Cache write, 1 h", description="Empty: as input.")
    output_nanos = per_million_tokens("Output", validators=[Required()])
    image_nanos = DollarsPerMillion("An image", description="Empty: the model makes none.")
    image_input_nanos = per_million_tokens("Images read", description="For models that make images. Empty: as input.")
    image_output_nanos = per_million_tokens("Images made", description="The same. Empty: as output.")
    search_nanos = DollarsPerMillion("A search", description="Empty: the model makes none.")
    long_context_above = Count(
        "Long context above", highest=10**8, description="Input tokens; empty: one tier for all."
    )
    long_uncached_input_nanos = per_million_tokens("Input")
    long_cache_read_nanos = per_million_tokens("Cache read")
    long_cache_write_5m_nanos = per_million_tokens("Cache write, 5 min")
    long_cache_write_1h_nanos = per_million_tokens("Cache write, 1 h")
    long_output_nanos = per_million_tokens("Output")
    from_minute = TimeOfDay("From", default=0, validators=[Required()])
    until_minute = TimeOfDay("Until", default=WHOLE_DAY, validators=[Required()], description="24:00 is midnight.")
    weekdays = Weekdays("On these days", description="Such as Mon, Tue. Empty: every day.")
    excepted_dates = Dates("Except on", description="Dates such as 2027-01-01, separated by spaces.")
    zone = StringField(
        "Time zone",
        default="UTC",
        description="Such as Asia/Shanghai. Days and times follow it.",
    )


class PriceTable(AdminTable):
    creates = edits = True
    one = "price"
    intro = (
        "What a model costs, in dollars per million tokens. Each change is a new row with its own date; "
        "prices already charged never change."
    )
    searches = "model"
    form = PriceForm
    list_template = "admin/prices.html"
    edit_template = create_template = "admin/price_form.html"
    column_list = ("model.name", "effective_from", "approved_at", "uncached_input_nanos", "cache_read_nanos",
                   "output_nanos", "long_context_above", "source")  # fmt: skip
    column_labels: ClassVar = {
        "effective_from": "From", "uncached_input_nanos": "Input", "long_context_above": "Long above",
    }  # fmt: skip
    column_formatters: ClassVar = {
        name: shown(per_million) for name in ("uncached_input_nanos", "cache_read_nanos", "output_nanos")
    } | {
        "effective_from": lambda _view, _context, price, _name: since(price),
        "long_context_above": shown(lambda tokens: "" if tokens is None else number(tokens)),
    }
    column_select_related_list = (ModelPrice.model,)
    column_sortable_list = (
        "model.name",
        "effective_from",
        "approved_at",
        "uncached_input_nanos",
        "output_nanos",
    )
    column_searchable_list = ("model.name", "model.title")
    column_filters = (
        FilterEqual(ModelPrice.source, "Source", options=[("genai-prices", "registry"), ("admin", "admin")]),
    )
    column_default_sort = [("effective_from", True), ("id", True)]  # noqa: RUF012
    figures: ClassVar = {"long_context_above"}
    form_groups: ClassVar = {
        "What it prices": ("model_id", "service_tier", "effective_from"),
        "Prices": (
            *(f"{bucket}_nanos" for bucket in TOKEN_BUCKETS),
            "image_nanos",
            "search_nanos",
            "image_input_nanos",
            "image_output_nanos",
        ),
        "Long context re-prices the whole call": (
            "long_context_above",
            *(f"long_{b}_nanos" for b in TOKEN_BUCKETS),
        ),
        "Only at certain times": ("from_minute", "until_minute", "weekdays", "excepted_dates", "zone"),
    }

    def approver(self, price: ModelPrice) -> str:
        """Who approved it; read once a page."""
        if "approvers" not in g:
            ids = select(ModelPrice.approved_by_id).distinct()
            g.approvers = {
                row.id: row.email for row in db.session.execute(select(User.id, User.email).where(User.id.in_(ids)))
            }
        return str(g.approvers.get(price.approved_by_id, "the command line"))

    def title_of(self, row: ModelPrice) -> str:
        return f"{row.model.name} from {row.effective_from:%Y-%m-%d}"

    def fit(self, form: RowForm, row: ModelPrice) -> None:
        """Model and tier stay; a price that counts is followed by one from now on, or from the day that is typed."""
        del form.model_id, form.service_tier
        if row.approved_at and not form.effective_from.raw_data:
            form.effective_from.data = None

    def update_model(self, form: PriceForm, model: ModelPrice) -> bool:
        """A proposal is edited; beside an approved price a new row is written."""
        if model.approved_at is None:
            return super().update_model(form, model)
        return self.save(form, ModelPrice(**figures_of(model)), is_created=True) is not None

    def on_model_change(self, form: PriceForm, price: ModelPrice, is_created: bool) -> None:
        price.service_tier = price_tier(price.service_tier)
        # Cached input that has no price of its own costs what input does.
        for column in (f"{bucket}_nanos" for bucket in INPUT_BUCKETS):
            if getattr(price, column) is None:
                setattr(price, column, price.uncached_input_nanos)
        check_times(price)
        has_long = any(getattr(price, f"long_{bucket}_nanos") is not None for bucket in TOKEN_BUCKETS)
        if has_long and price.long_context_above is None:
            raise FieldError("long_context_above", "Enter from how many input tokens the long-context prices apply.")
        if not is_created:
            return
        begin_now_or_later(price)
        price.source = "admin"
        price.approve(current_user.user_id)
        copy_siblings(form, price)

    def create_form(self, obj: Any = None) -> PriceForm:
        """Of the model that the address names, where it names one."""
        form: PriceForm = super().create_form(obj)
        if request.method == "GET":
            form.model_id.data = request.args.get("model_id", type=int)
        return form

    @expose("/approve/", methods=("POST",))
    @owners_only
    def approve_view(self) -> ResponseReturnValue:
        now = utcnow()
        for identifier in request.form.getlist("id"):
            proposal = self.get_one(identifier) or abort(404)
            for price in proposed_with(proposal):
                price.approve(current_user.user_id, now)
                self.record("approve", price)
        db.session.commit()
        return self.go_back("Approved.", ".index_view")


def proposed_with(proposal: ModelPrice) -> list[ModelPrice]:
    """A proposal that waits, and those of the same moment: the hours of one day are one price list."""
    if proposal.approved_at is not None:
        return []
    same = {
        "model_id": proposal.model_id,
        "effective_from": proposal.effective_from,
        "source": proposal.source,
    }
    waiting = select(ModelPrice).filter_by(approved_at=None, **same).order_by(ModelPrice.id)
    return list(db.session.scalars(waiting))


def since(price: ModelPrice) -> str:
    """From when on, at which times where it does not always hold, and for which tier where not for the ordinary one."""
    tier = f"{price.tier} tier" if price.tier else ""
    start = "always" if price.effective_from == SINCE_EVER else day_or_moment(price.effective_from)
    return ", ".join(filter(None, (start, times_of(price.schedule), tier)))


def day_or_moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d}" if at.time() == time() else moment(at)


def figures_of(price: ModelPrice) -> dict[str, Any]:
    return {name: getattr(price, name) for name in COPIED}


def begin_now_or_later(price: ModelPrice | ImagePrice) -> None:
    """FieldError where it was to begin before this minute; where no day was typed, it begins now."""
    now = utcnow()
    price.effective_from = price.effective_from or now
    if price.effective_from.replace(second=0, microsecond=0) < now.replace(second=0, microsecond=0):
        raise FieldError("effective_from", "A price can't start in the past: earlier calls keep theirs.")


def check_times(price: ModelPrice) -> None:
    try:
        zone_named(price.zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise FieldError("zone", "Unknown time zone. Use a name such as Asia/Shanghai.") from None
    if price.from_minute >= price.until_minute:
        raise FieldError(
            "until_minute", "The end must be after the start. For a night, save two: until 24:00, and from 0:00."
        )


def copy_siblings(form: PriceForm, price: ModelPrice) -> None:
    """Prices of other hours that began with the row that was edited go on beside the new one."""
    former = getattr(form, "_obj", None)
    if former is None:
        return
    others = select(ModelPrice).where(
        ModelPrice.model_id == former.model_id,
        ModelPrice.effective_from == former.effective_from,
        ModelPrice.id != former.id,
        ModelPrice.approved_at.is_not(None),
        ModelPrice.service_tier == former.tier,
        or_(ModelPrice.from_minute != price.from_minute, ModelPrice.weekdays != price.weekdays),
    )
    for other in db.session.scalars(others):
        changed = {"effective_from": price.effective_from, "approved_at": price.approved_at,
                   "approved_by_id": price.approved_by_id}  # fmt: skip
        db.session.add(ModelPrice(**figures_of(other) | changed))
