"""The sentence that says what a price is worth, while it is typed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from app.admin.cell_formats import cost, credits_text, money_text, percent
from app.catalog.projection import usual_cost
from app.extensions import db
from app.models.catalog.currency import decimals
from app.models.catalog.worth import currency, in_cents, usual_payment_fee, worth_of
from app.models.metering.refusal import PricingError
from app.models.metering.usage import Usage
from app.web.numbers import exact

UNITS = {"margin_bps": 100, "allowance_override_nanos": 10**6}
MONEY = ("price_cents", "surcharge_cents", "sale_price_cents")
RECENT_CALLS = 200

TOGETHER = "These values don't work together: the surcharge can't exceed the price, and the margin must be below 100%."


def typed_figures(typed: Mapping[str, str]) -> dict[str, Any]:
    """What the form holds now; a figure that cannot be read is left out."""
    figures: dict[str, Any] = {"interval": typed.get("interval", "month")}
    for name, unit in (UNITS | dict.fromkeys(MONEY, 10 ** decimals(currency()))).items():
        try:
            figures[name] = exact(typed.get(name, ""), unit)
        except ValueError:
            figures[name] = None
    return figures


def plan_words(
    *,
    price_cents: int | None,
    surcharge_cents: int | None,
    margin_bps: int | None,
    interval: str = "month",
    allowance_override_nanos: int | None = None,
    sale_price_cents: int | None = None,
) -> str:
    if price_cents is None or margin_bps is None:
        return "Enter a price and a margin."
    try:
        worth = worth_of(price_cents, surcharge_cents or 0, margin_bps)
    except PricingError:
        return TOGETHER
    share = worth if interval == "month" else (worth + 6) // 12
    monthly = share if allowance_override_nanos is None else allowance_override_nanos
    how = terms(price_cents, surcharge_cents, margin_bps) if allowance_override_nanos is None else "Set by hand"
    whole = monthly if interval == "month" else monthly * 12
    on_sale = (
        f" On sale for {money_text(sale_price_cents)}: {left(sale_price_cents, whole)}" if sale_price_cents else ""
    )
    return f"{how} = {credits_text(monthly)} credits a month, {answers(monthly)}; {left(price_cents, whole)}{on_sale}"


def terms(price_cents: int, surcharge_cents: int | None, margin_bps: int) -> str:
    extra = f" - {money_text(surcharge_cents)} surcharge" if surcharge_cents else ""
    return f"{money_text(price_cents)}{extra}, {percent(margin_bps)} margin"


def pack_words(*, price_cents: int | None, margin_bps: int | None, **_others: Any) -> str:
    if price_cents is None or margin_bps is None:
        return "Enter a price and a margin."
    try:
        worth = worth_of(price_cents, 0, margin_bps)
    except PricingError:
        return "These values don't work: the price must be above 0 and the margin below 100%."
    how = f"{money_text(price_cents)}, {percent(margin_bps)} margin = {credits_text(worth)} credits"
    return f"{how}, {answers(worth)}; {left(price_cents, worth)}"


def left(price_cents: int, worth: int) -> str:
    """What stays of a price when all that it buys was used."""
    fee = usual_payment_fee(price_cents) if price_cents else 0
    rest = price_cents - fee - in_cents(worth)
    return f"our cost at full use {cost(worth)}, Stripe's fee about {money_text(fee)}, left {money_text(rest)}."


def answers(nanos: int) -> str:
    each = average_answer()
    return f"about {nanos // each:,} answers of the average chat" if each else "no model for sale yet"


def average_answer() -> int:
    """What an answer costs on average, in nanos: of the latest calls, else of an ordinary one on what is for sale."""
    latest = (
        select(Usage.cost_nanos)
        .where(Usage.state == "settled", Usage.operation == "chat")
        .order_by(Usage.id.desc())
        .limit(RECENT_CALLS)
        .subquery()
    )
    total, count = db.session.execute(select(func.sum(latest.c.cost_nanos), func.count())).one()
    if count == RECENT_CALLS:
        return max(1, int(total) // count)
    return usual_cost()
