"""The business in a range of days, and in as many before it: plans and packs, recurring revenue, churn, conversion."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select

from app.admin.cell_formats import sold_title
from app.admin.dashboard_figures import Books, Range, plan_titles
from app.extensions import db
from app.models.billing.payment import Payment
from app.models.billing.redemption import Redemption
from app.models.billing.refund import kept_cents, revenue_between
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.worth import in_cents, usual_payment_fee
from app.models.identity.account import Account

NET = kept_cents()
CHARGED = Payment.price_cents > 0
TREND_MONTHS, A_MONTH = 6, timedelta(days=30)
EARNING = ("active", "past_due")


@dataclass(frozen=True, slots=True)
class Sold:
    """What was sold of a plan or pack. `cost_nanos`: what a plan's accounts used, or all that a pack's credits buy."""

    name: str
    payments: int
    revenue_cents: int
    fee_cents: int
    cost_nanos: int

    @property
    def margin_cents(self) -> int:
        return self.revenue_cents - self.fee_cents - in_cents(self.cost_nanos)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a range came to. Rates are percent; None where there is nothing to divide by."""

    revenue_cents: int
    fee_cents: int
    mrr_cents: int
    churn: int | None
    free_to_paid: int | None
    arpu_cents: int | None


def figures_of(within: Range) -> Figures:
    moved = select(func.sum(revenue_between(within.begins, within.ends).c.cents)).scalar_subquery()
    sums = func.sum(Payment.price_cents), func.count(), func.count(Payment.account_id.distinct())
    came, charged, payments, payers = db.session.execute(paid(within, moved, *sums)).one()
    revenue = int(came or 0)
    begun = subscriptions_at(within.begins, func.count())
    lost = begun.where(within.holds(Subscription.ended_at))
    return Figures(
        revenue_cents=revenue,
        fee_cents=usual_payment_fee(int(charged or 0), payments),
        mrr_cents=recurring_at(within.ends),
        churn=percent(db.session.scalar(lost) or 0, db.session.scalar(begun) or 0),
        free_to_paid=percent(*conversion(within)),
        arpu_cents=revenue // payers if payers else None,
    )


def before(within: Range) -> Range:
    """As many days, just before."""
    length = timedelta(days=len(within.days))
    return Range(within.first - length, within.last - length)


def paid(within: Range, *columns: Any) -> Select[Any]:
    """Of the payments that cost something."""
    return select(*columns).where(Payment.state == "paid", CHARGED, within.holds(Payment.paid_at))


def percent(part: int, whole: int) -> int | None:
    return part * 100 // whole if whole else None


WANTED = Subscription.stripe_id.is_not(None) & Subscription.rejected_at.is_(None)


def subscriptions_at(moment: datetime, *columns: Any) -> Select[Any]:
    """Those that ran at that moment, as far as the rows tell: a price is that of now."""
    runs = Subscription.ended_at.is_(None) & Subscription.status.in_(EARNING) & Subscription.is_running()
    is_paid = or_(Subscription.trial_end.is_(None), Subscription.trial_end <= moment)
    there = WANTED, Subscription.created_at < moment, or_(runs, Subscription.ended_at > moment), is_paid
    return select(*columns).select_from(Subscription).where(*there)


def recurring_at(moment: datetime) -> int:
    """MRR in cents: what the subscriptions of that moment bring in a month, yearly ones by their twelfth.

    Less what a code takes off every invoice; one that ends changes nothing.
    """
    kinds = Plan.interval, Subscription.price_cents, PromotionCode
    is_lasting = (PromotionCode.id == Redemption.code_id) & (PromotionCode.duration == "forever")
    rows = subscriptions_at(moment, *kinds, func.count()).join(Plan, Plan.id == Subscription.plan_id)
    rows = rows.outerjoin(Subscription.redemption).outerjoin(PromotionCode, is_lasting)
    sums = {"month": 0, "year": 0}
    for interval, cents, code, count in db.session.execute(rows.group_by(*kinds[:2], PromotionCode.id)):
        sums[interval] += count * (cents - (code.discount_cents(cents) if code else 0))
    return sums["month"] + sums["year"] // 12


def recurring_trend(end: datetime) -> list[tuple[datetime, int]]:
    """(moment, MRR) of the last months, oldest first."""
    moments = [end - A_MONTH * number for number in reversed(range(TREND_MONTHS))]
    return [(moment, recurring_at(moment)) for moment in moments]


def conversion(within: Range) -> tuple[int, int]:
    """(those that have paid since, accounts that were opened in the range)."""
    opened = within.holds(Account.created_at), Account.kind != "house"
    payers = select(Payment.account_id).where(Payment.state == "paid", CHARGED)
    won = func.count().filter(Account.id.in_(payers))
    row = db.session.execute(select(won, func.count()).select_from(Account).where(*opened)).one()
    return int(row[0]), int(row[1])


def sold_plans(books: Books) -> list[Sold]:
    """By plan: what its invoices brought, and what its accounts used."""
    columns = Payment.plan_id, func.count(), func.sum(NET), func.sum(Payment.price_cents)
    rows = db.session.execute(paid(books.within, *columns).group_by(Payment.plan_id))
    sums = {row[0]: row[1:] for row in rows}
    used = {key: figures["cost_nanos"] for key, figures in books.by["plan"].items()}
    lines = [sold(name, sums.get(key, (0, 0, 0)), used.get(key, 0)) for key, name in plan_titles().items()]
    return [line for line in lines if line.payments or line.cost_nanos]


def sold_packs(books: Books) -> list[Sold]:
    """By pack, bought or recharged."""
    worth = func.sum(Payment.worth_nanos - Payment.refund_taken_nanos - Payment.dispute_taken_nanos)
    columns = CreditPack, func.count(), func.sum(NET), func.sum(Payment.price_cents), worth
    rows = paid(books.within, *columns).join(CreditPack, CreditPack.id == Payment.pack_id)
    grouped = rows.group_by(CreditPack.id).order_by(CreditPack.id)
    return [sold(sold_title(row[0]), row[1:4], row[4]) for row in db.session.execute(grouped)]


def sold(name: str, sums: Sequence[Any], cost_nanos: Any) -> Sold:
    payments, net, charged = (int(figure or 0) for figure in sums)
    return Sold(name, payments, net, usual_payment_fee(charged, payments), int(cost_nanos or 0))
