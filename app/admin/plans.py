"""Plans and packs: what is sold, in forms that speak money."""

from collections.abc import Callable
from typing import Any, ClassVar

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from markupsafe import escape
from sqlalchemy import inspect

from app.admin.access import owners_only
from app.admin.bulk_retirement import BulkRetire
from app.admin.cell_formats import money_text, percent
from app.admin.form_fields import Dollars, FieldError, RowForm
from app.admin.model_view import AdminTable
from app.admin.plan_forms import PackForm, PlanForm
from app.admin.plan_impact import accounts_on, consequences, default_plan, pack_consequences
from app.admin.worth_preview import pack_words, plan_words, typed_figures
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.base import utcnow
from app.models.catalog.pack_tier import fault_of
from app.models.catalog.plan import LOCKED_TERMS, CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.worth import currency, is_above_floor, least_cents, real_margin_bps, worth_of
from app.models.identity.guest_account import guest_membership, is_guest_account
from app.web.pricing_page import pricing_context

NEW_VERSION = "a new version was made"


class SoldTable(BulkRetire, AdminTable):
    """What plans and packs share: locked terms, versions, the sentence about their worth."""

    creates = edits = True
    column_default_sort = [("position", False), ("id", False)]  # noqa: RUF012
    edit_template = create_template = "admin/sold_form.html"
    figures: ClassVar = {"position"}
    text: Callable[..., str]
    job: JobName

    def is_locked(self, row: Any) -> bool:
        return row.terms_locked_at is not None

    def fit(self, form: RowForm, row: Any) -> None:
        for name in LOCKED_TERMS if self.is_locked(row) else ():
            if name in form:
                lock(form[name])

    def validate_form(self, form: Any) -> bool:
        if not super().validate_form(form):
            return False
        row = getattr(form, "_obj", None)
        return row is None or not self.is_locked(row) or terms_are_kept(form, row)

    def copied(self, row: Any) -> Any:
        return row.new_version()

    def after_model_change(self, form: Any, row: Any, is_created: bool) -> None:
        """Stripe is told; where it ended or is sold no longer, so does what depends on it."""
        enqueue(self.job, row.id)

    @expose("/worth/")
    def worth_view(self) -> ResponseReturnValue:
        """The sentence for what is being typed."""
        return jsonify(text=type(self).text(**typed_figures(request.args)))

    @expose("/new-version/", methods=("POST",))
    @owners_only
    def new_version_view(self) -> ResponseReturnValue:
        row = self.row_asked_for()
        db.session.refresh(row, with_for_update=True)
        copy = self.copied(row)
        self.record("retire", row, reason=NEW_VERSION)
        try:
            check_name(copy)
        except FieldError as error:
            db.session.rollback()
            return self.go_back(str(error), ".index_view", "error")
        for code in PromotionCode.name_version(row, copy):
            self.record("edit", code, reason=NEW_VERSION)
        self.record("new version", copy, changes={"replaces_id": [None, str(row.id)]})
        db.session.commit()
        self.after_model_change(None, row, False)
        return self.go_back(
            f"This is the new version of {row.name}. {self.kept}",
            ".edit_view",
            id=copy.id,
        )


def lock(field: Any) -> None:
    """A field that is shown and cannot be changed."""
    field.render_kw = {"readonly": True} if isinstance(field, Dollars) else {"disabled": True}
    field.description = "Fixed: it has been sold. Make a new version to change it."


def terms_are_kept(form: Any, row: Any) -> bool:
    changed = [name for name in LOCKED_TERMS if name in form and form[name].data != getattr(row, name)]
    for name in changed:
        form[name].errors = ["This has been sold and can't change. Use “New version” to sell other terms."]
    return not changed


class PlanTable(SoldTable):
    one = "plan"
    job = JobName.PUBLISH_PLAN
    intro = "What people subscribe to. Accounts stay on their plan until they change it."
    form = PlanForm
    text = staticmethod(plan_words)
    list_template = "admin/plans.html"
    column_list = ("name", "status", "price_cents", "margin_bps", "allowance_nanos", "allows_packs", "is_default",
                   "position")  # fmt: skip
    column_labels: ClassVar = {
        "allowance_nanos": "Credits a month", "allows_packs": "Packs", "is_default": "Default",
    }  # fmt: skip
    column_formatters: ClassVar = {"price_cents": lambda _view, _context, plan, _name: price_of(plan)}
    form_groups: ClassVar = {
        "What it is": ("name", "description", "status", "position", "is_popular"),
        "What it costs": ("price_cents", "interval", "surcharge_cents", "margin_bps", "sale_price_cents",
                          "sale_ends_at", "trial_days"),
        "What it gives": (
            "allowance_override_nanos", "daily_limit_nanos", "window_limit_nanos", "window_hours",
            "chats_per_month", "documents", "images_per_month", "parallel_calls", "has_api",
            "allows_packs", "has_priority_support", "has_custom_branding", "models",
        ),
        "Its card on the pricing page": ("bullets",),
    }  # fmt: skip

    def get_query(self) -> Any:
        return super().get_query().where(~is_guest_account())

    def get_count_query(self) -> Any:
        return super().get_count_query().where(~is_guest_account())

    def get_one(self, id: Any) -> Any:
        """What guests share is no plan to be sold: its limit is a setting."""
        membership = guest_membership()
        return None if membership is not None and str(membership.account.plan_id) == str(id) else super().get_one(id)

    def is_locked(self, row: Plan) -> bool:
        """Sold once, or somebody is on it: price and interval stay as they were bought."""
        return super().is_locked(row) or accounts_on(row) > 0

    def render(self, template: str, **context: Any) -> str:
        if context.get("model") is not None:
            context["consequences"] = consequences(context["model"])
        return super().render(template, **context)

    def on_model_change(self, form: PlanForm, plan: Plan, is_created: bool) -> None:
        check_name(plan)
        check_terms(plan)
        if plan.is_default and (plan.status != "active" or plan.price_cents):
            raise FieldError("status", "This is the default plan: it is free and active. Make another one the default.")
        if plan.price_cents == 0 and plan.status == "active" and default_plan() is None:
            plan.is_default = True

    def copied(self, row: Plan) -> Plan:
        """A new version; that of the default plan is the default."""
        was_default, row.is_default = row.is_default, False
        db.session.flush()
        copy = row.new_version()
        copy.is_default = was_default
        return copy

    @expose("/preview/", methods=("POST",))
    @owners_only
    def preview_view(self) -> ResponseReturnValue:
        """The pricing page as it would be with what is typed; nothing is saved."""
        form = PlanForm(request.form)
        if not form.validate():
            return unfit("; ".join(f"{form[name].label.text}: {errors[0]}" for name, errors in form.errors.items()))
        plan = Plan(id=0, currency=currency())
        form.populate_obj(plan)
        try:
            check_terms(plan)
        except FieldError as error:
            return unfit(f"{form[error.field].label.text}: {error}")
        others = [offered for offered in Plan.on_offer() if str(offered.id) != request.form.get("preview_of")]
        shown_plans = [*others, plan] if plan.status == "active" else others
        shown_plans.sort(key=lambda one: (one.position or 0, one.price_cents, one.id))
        return render_template("pricing.html", **pricing_context(shown_plans, CreditPack.on_offer(), None))

    @expose("/default/", methods=("POST",))
    @owners_only
    def default_view(self) -> ResponseReturnValue:
        """Make this the plan that new accounts start on."""
        plan = self.row_asked_for()
        if plan.price_cents or plan.status != "active":
            return self.go_back("The default plan is free and active.", ".index_view", "error")
        former = default_plan()
        if former is not None:
            former.is_default = False
            self.record("edit", former)
            db.session.flush()
        plan.is_default = True
        self.record("edit", plan)
        db.session.commit()
        return self.go_back(f"New accounts start on {plan.name}.", ".index_view")


class PackTable(SoldTable):
    one = "pack"
    job = JobName.PUBLISH_PACK
    kept = "Nobody can buy what was retired; auto-recharge that did is paused."
    intro = "Credits for a price, once. They never expire."
    form = PackForm
    text = staticmethod(pack_words)
    list_template = "admin/packs.html"
    column_list = ("name", "status", "price_cents", "margin_bps", "worth_nanos", "position")
    column_labels: ClassVar = {"worth_nanos": "Credits"}
    form_groups: ClassVar = {
        "What it is": ("name", "description", "status", "position"),
        "What it costs": ("price_cents", "margin_bps", "is_any_amount", "volume"),
    }

    def render(self, template: str, **context: Any) -> str:
        if context.get("model") is not None:
            context["consequences"] = pack_consequences(context["model"])
        return super().render(template, **context)

    def on_model_change(self, form: PackForm, pack: CreditPack, is_created: bool) -> None:
        check_name(pack)
        worth_of(pack.price_cents, 0, pack.margin_bps)
        check_least("price_cents", pack.price_cents)
        if pack.is_any_amount and pack.tiers:
            raise FieldError("volume", "A pack for any amount has one margin.")
        if fault := fault_of(pack):
            raise FieldError("volume", fault)


def price_of(plan: Plan) -> str:
    return f"{money_text(plan.price_cents)} a {plan.interval}"


def unfit(text: str) -> ResponseReturnValue:
    """In place of a preview."""
    return f"<!doctype html><title>Preview</title><p>Fix this first: {escape(text)}", 422


def check_terms(plan: Plan) -> None:
    """FieldError where price, worth and limits do not go together; -1 is no limit."""
    if plan.surcharge_cents > plan.price_cents:
        raise FieldError("surcharge_cents", "The surcharge can't be more than the price.")
    worth_of(plan.price_cents, plan.surcharge_cents, plan.margin_bps)
    check_least("price_cents", plan.price_cents)
    check_sale(plan)
    if (plan.window_hours is None) != (plan.window_limit_nanos is None):
        raise FieldError("window_hours", "Enter both how many credits and in how many hours, or neither.")
    for limit in ("chats_per_month", "documents", "images_per_month"):
        if getattr(plan, limit) == -1:
            setattr(plan, limit, None)


def check_name(sold: Plan | CreditPack) -> None:
    """FieldError where something else is offered by that name."""
    sold.name = sold.name.strip()
    others = (one for one in type(sold).on_offer() if one.id != sold.id)
    if sold.status == "active" and sold.name.casefold() in {other.name.casefold() for other in others}:
        raise FieldError("name", "Something else is sold under this name.")


def check_least(field: str, cents: int) -> None:
    """FieldError where Stripe charges no so small amount; nothing at all is free."""
    if 0 < cents < least_cents():
        raise FieldError(field, f"Stripe charges {money_text(least_cents())} or more.")


def check_sale(plan: Plan) -> None:
    """FieldError where it is no sale, never ends, or leaves less than the margin's floor."""
    cents = plan.sale_price_cents
    if cents is None:
        plan.sale_ends_at = None
        return
    check_least("sale_price_cents", cents)
    if plan.sale_ends_at is None:
        raise FieldError("sale_ends_at", "Enter when the sale ends.")
    if inspect(plan).attrs.sale_ends_at.history.added and plan.sale_ends_at <= utcnow():
        raise FieldError("sale_ends_at", "This has already passed.")
    if cents >= plan.price_cents:
        raise FieldError("sale_price_cents", "The sale price must be below the price.")
    if not is_above_floor(plan.period_nanos, cents, plan.surcharge_cents):
        margin = real_margin_bps(plan.period_nanos, cents, plan.surcharge_cents)
        left = f"a real margin of {percent(margin)}" if margin is not None else "nothing"
        raise FieldError("sale_price_cents", f"It would leave {left}, below the lowest margin in Settings.")
