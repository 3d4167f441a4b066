"""Promotional codes: made and ended here, with the real margin of every sale said while one is typed."""

from typing import Any, ClassVar

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length

from app.admin.cell_formats import cost, credits_text, percent, sold_title
from app.admin.form_fields import (
    Count,
    Credits,
    Dollars,
    FieldError,
    Moment,
    Names,
    Percent,
    Required,
    RowForm,
    choices_of,
)
from app.admin.model_view import AdminTable
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.catalog.currency import decimals
from app.models.catalog.offers import all_on_offer
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode, spelled
from app.models.catalog.setting import Setting
from app.models.catalog.worth import currency
from app.web.formatting import money_text
from app.web.numbers import exact

KINDS = choices_of(
    [
        ("discount", "discount: pays less for the same credits"),
        ("bonus", "bonus: pays the full price and gets more credits"),
        ("gift", "gift: credits without a payment"),
    ]
)
DURATIONS = choices_of([("once", "the first invoice"), ("repeating", "some months"), ("forever", "every invoice")])
MOST_CENTS, MOST_COUNT, MOST_PERCENT = 10**9, 10**9, 1_000_000
TERMS = ("code", "kind", "percent_bps", "amount_cents", "gift_nanos", "duration", "months")
TYPED = {"percent_bps": 100, "gift_nanos": 10**6}


def plans_for_sale() -> list[SelectChoice]:
    paid = select(Plan).where(Plan.price_cents > 0, Plan.status == "active").order_by(Plan.position, Plan.id)
    return choices_of((str(plan.id), plan.name) for plan in db.session.scalars(paid))


def packs_for_sale() -> list[SelectChoice]:
    return choices_of((str(pack.id), pack.name) for pack in CreditPack.on_offer())


class PlanNames(Names):
    """Plans by their ids."""

    table: ClassVar[type[Plan] | type[CreditPack]] = Plan

    def title_of(self, name: str) -> str:
        sold = self.table.find(name)
        return sold_title(sold) if sold else name


class PackNames(PlanNames):
    table = CreditPack


class CodeForm(RowForm):
    code = StringField(
        "Code",
        validators=[Required(), Length(max=40)],
        description="Letters, digits and dashes; people may type it in any case.",
    )
    kind = SelectField("Kind", choices=KINDS, default="discount")
    is_active = BooleanField("Can be used", default=True)
    percent_bps = Percent("Percent", highest=MOST_PERCENT, description="For a discount or a bonus.")
    amount_cents = Dollars("Or an amount off", highest=MOST_CENTS, description="For a discount.")
    duration = SelectField("A plan discount applies to", choices=DURATIONS, default="once")
    months = Count("Months", lowest=1, highest=60, description="If it applies to some months.")
    gift_nanos = Credits("Gift credits", highest=10**15)
    plan_ids = PlanNames("Plans", choices=plans_for_sale, description="None selected: all plans and packs.")
    pack_ids = PackNames("Packs", choices=packs_for_sale)
    first_purchase_only = BooleanField("Only for an account's first purchase")
    once_per_account = BooleanField("Once per account", default=True)
    most_redemptions = Count("Maximum uses", lowest=1, highest=MOST_COUNT, description="Empty: unlimited.")
    starts_at = Moment("From", description="UTC. Empty: now.")
    ends_at = Moment("Until", description="UTC. Empty: until you end it.")


class CodeTable(AdminTable):
    creates = edits = True
    one = "code"
    title_column = "code"
    intro = "What people enter for a discount, a bonus or a gift. Codes are never deleted; end one instead."
    form = CodeForm
    edit_template = create_template = "admin/code_form.html"
    column_default_sort = ("id", True)
    column_list = ("code", "kind", "percent_bps", "redeemed", "most_redemptions", "is_active", "ends_at")
    column_labels: ClassVar = {
        "percent_bps": "What it gives", "most_redemptions": "At most", "is_active": "Active", "ends_at": "Until",
    }  # fmt: skip
    column_formatters: ClassVar = {
        "percent_bps": lambda _view, _context, code, _name: gives(code),
        "most_redemptions": lambda _view, _context, code, _name: code.most_redemptions or "any number",
    }
    figures: ClassVar = {"redeemed", "most_redemptions"}
    form_groups: ClassVar = {
        "What it is": ("code", "kind", "is_active"),
        "What it gives": ("percent_bps", "amount_cents", "duration", "months", "gift_nanos"),
        "What it is for": ("plan_ids", "pack_ids", "first_purchase_only", "once_per_account"),
        "How often, and when": ("most_redemptions", "starts_at", "ends_at"),
    }

    def fit(self, form: RowForm, row: PromotionCode) -> None:
        for name in TERMS if row.redeemed else ():
            form[name].render_kw = {"readonly": True}
            form[name].description = "Fixed: it has been used. Make another code to change it."

    def validate_form(self, form: Any) -> bool:
        if not super().validate_form(form):
            return False
        row = getattr(form, "_obj", None)
        return row is None or not row.redeemed or terms_are_kept(form, row)

    def on_model_change(self, form: CodeForm, code: PromotionCode, is_created: bool) -> None:
        code.code = spelled(code.code) or refuse_spelling()
        check_kind(code)
        check_floor(code)

    def after_model_change(self, form: CodeForm, code: PromotionCode, is_created: bool) -> None:
        enqueue(JobName.PUBLISH_CODE, code.id)

    @expose("/margin/")
    def margin_view(self) -> ResponseReturnValue:
        """The real margin of everything that the code would sell, for what is being typed."""
        return jsonify(text=margin_words(typed_code(request.args)))


def terms_are_kept(form: Any, row: PromotionCode) -> bool:
    typed = {name: form[name].data for name in TERMS} | {"code": spelled(form["code"].data)}
    changed = [name for name in TERMS if (typed[name] or None) != (getattr(row, name) or None)]
    for name in changed:
        form[name].errors = ["This code has been used and can't change. Make another one instead."]
    return not changed


def refuse_spelling() -> str:
    raise FieldError("code", "Use 3 to 40 letters, digits and dashes; no dash at either end.")


def check_kind(code: PromotionCode) -> None:
    """FieldError where what the kind gives is missing, or something else is there."""
    if code.kind == "gift" and not code.gift_nanos:
        raise FieldError("gift_nanos", "Enter how many credits it gives.")
    if code.kind == "bonus" and not code.percent_bps:
        raise FieldError("percent_bps", "Enter the bonus in percent.")
    if code.kind == "discount" and bool(code.percent_bps) == bool(code.amount_cents):
        raise FieldError("percent_bps", "Enter either a percentage or an amount.")
    if code.kind == "discount" and (code.percent_bps or 0) > 10_000:
        raise FieldError("percent_bps", "A discount is at most 100%.")
    if code.duration == "repeating" and not code.months:
        raise FieldError("months", "Enter for how many months.")
    if code.starts_at and code.ends_at and code.ends_at <= code.starts_at:
        raise FieldError("ends_at", "The end must be after the start.")
    clear_others(code)


def clear_others(code: PromotionCode) -> None:
    """What belongs to another kind is not kept."""
    if code.kind != "discount":
        code.amount_cents, code.duration, code.months = None, "once", None
    if code.kind == "gift":
        code.percent_bps, code.plan_ids, code.pack_ids = None, [], []
    else:
        code.gift_nanos = None
    if code.duration != "repeating":
        code.months = None


def check_floor(code: PromotionCode) -> None:
    """FieldError where it names something that it would sell below the floor, or can sell nothing at all."""
    if code.kind == "gift" or not code.is_active:
        return
    below = [sold for sold in all_on_offer() if code.is_for(sold) and not code.sells(sold)]
    if below and (code.plan_ids or code.pack_ids or not code.sold_with()):
        field = "percent_bps" if code.percent_bps else "amount_cents"
        raise FieldError(
            field, f"Below the lowest margin in Settings: {'; '.join(sale_words(code, one) for one in below)}."
        )


def typed_code(typed: MultiDict[str, str]) -> PromotionCode:
    """What the form holds now; a figure that cannot be read is left out."""
    code = PromotionCode(kind=typed.get("kind", "discount"), currency=currency())
    code.plan_ids, code.pack_ids = typed.getlist("plan_ids"), typed.getlist("pack_ids")
    for name, unit in (TYPED | {"amount_cents": 10 ** decimals(currency())}).items():
        try:
            setattr(code, name, exact(typed.get(name, ""), unit))
        except ValueError:
            setattr(code, name, None)
    return code


def margin_words(code: PromotionCode) -> str:
    if code.kind == "gift":
        return f"Costs up to {cost(code.gift_nanos or 0)} each; nothing is paid for it."
    if not code.percent_bps and not code.amount_cents:
        return "Enter what it gives."
    return "; ".join(sale_words(code, sold) for sold in all_on_offer() if code.is_for(sold)) or "It applies to nothing."


def sale_words(code: PromotionCode, sold: Plan | CreditPack) -> str:
    """One sale with the code: "Plus $16.00 of $20.00, 10,000 credits, real margin 37.5%"."""
    worth, paid, _surcharge = code.sale_of(sold)
    margin = code.margin_of(sold)
    left = f"real margin {percent(margin)}" if margin is not None else "nothing left to pay for it"
    refused = (
        "" if code.sells(sold) else f", below the lowest margin of {percent(Setting.get('margin_floor'))}: refused"
    )
    price = f"{money_text(paid, sold.currency)} of {money_text(sold.asked_cents, sold.currency)}"
    return f"{sold.name} {price}, {credits_text(worth)} credits, {left}{refused}"


def gives(code: PromotionCode) -> str:
    if code.kind == "gift":
        return f"{credits_text(code.gift_nanos or 0)} credits"
    what = percent(code.percent_bps) if code.percent_bps else money_text(code.amount_cents or 0, code.currency)
    span = {"once": "", "repeating": f" for {code.months} months", "forever": " for ever"}[code.duration]
    return f"{what}{span}"
