"""Three months of simulated use of what is sold, and what is left: no guess is drawn, so twice is the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.models.catalog.ai_model import AIModel
from app.models.catalog.currency import major
from app.models.catalog.ordinary_answer import per_answer
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.worth import currency, in_cents, usual_payment_fee

MONTHS = 3
DAYS = 30
CUSTOMERS = {"try it": (50, 2), "use it now and then": (30, 15), "use it all day": (20, 120)}
"""Of a hundred who pay, how many send so many usual messages a day. As many again stay on the free plan and try it."""


@dataclass(slots=True)
class Month:
    """Of a hundred customers and a hundred on the free plan, in cents."""

    number: int
    paid: int = 0
    fees: int = 0
    cost: int = 0
    refused: int = 0

    @property
    def left(self) -> int:
        return self.paid - self.fees - self.cost


def usual_cost() -> int:
    """What a usual message costs in nanos: of all models for sale alike. 0 where none is."""
    costs = [per_answer(price) for _model, price in AIModel.for_sale()]
    return sum(costs) // len(costs) if costs else 0


def months_of(plan: Plan, pack: CreditPack | None, free: Plan) -> list[Month]:
    """What these plans come to, month by month, at today's prices of the models."""
    message = usual_cost()
    credits = dict.fromkeys(CUSTOMERS, 0)
    return [month_of(number, plan, pack, free, message, credits) for number in range(1, MONTHS + 1)]


def month_of(
    number: int, plan: Plan, pack: CreditPack | None, free: Plan, message: int, credits: dict[str, int]
) -> Month:
    month = Month(number)
    for kind, (people, a_day) in CUSTOMERS.items():
        wanted = a_day * DAYS * message
        missing = max(0, wanted - plan.allowance_nanos - credits[kind])
        packs = -(-missing // pack.worth_nanos) if pack is not None and plan.allows_packs else 0
        bought = packs * pack.worth_nanos if pack is not None else 0
        served = min(wanted, plan.allowance_nanos + credits[kind] + bought)
        credits[kind] = max(0, credits[kind] + bought - max(0, served - plan.allowance_nanos))
        prices = [plan.monthly_cents, *([packs * pack.price_cents] if pack is not None and packs else [])]
        month.paid += people * sum(prices)
        month.fees += people * sum(usual_payment_fee(cents) for cents in prices if cents)
        month.cost += people * in_cents(served)
        month.refused += people * (served < wanted)
    month.cost += 100 * in_cents(min(free.allowance_nanos, CUSTOMERS["try it"][1] * DAYS * message))
    return month


def figure(cents: int) -> str:
    return f"{major(cents, currency()):,f}"


def lines_of(months: list[Month]) -> Iterator[str]:
    """A table to read in a terminal."""
    yield f"Of 100 customers, and 100 more on the free plan, in {currency().upper()}:"
    yield f"{'month':>7}{'paid':>14}{'fees':>12}{'models':>14}{'left':>14}"
    for month in months:
        figures = (month.paid, month.fees, month.cost, month.left)
        columns = "".join(f"{figure(cents):>{width}}" for cents, width in zip(figures, (14, 12, 14, 14), strict=True))
        yield f"{month.number:>7}{columns}"
    yield f"{'all':>7}{figure(sum(one.left for one in months)):>54} left"
