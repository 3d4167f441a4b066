"""What a change of the Stripe account led to: what was made anew, and what cannot be carried over."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from app.admin.cell_links import ACCOUNT_NAME
from app.extensions import db
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.stripe_account import SOLD, FormerId, StripeAccount
from app.models.billing.subscription import LIVE, Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import Account

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Move:
    """`made` and `known` by kind: how many of those that the other account knew are here by now, and how many there
    were. `left` are subscriptions that cannot be carried over."""

    now: StripeAccount
    before: list[StripeAccount]
    made: dict[str, int]
    known: dict[str, int]
    left: list[Any]
    cards: int
    payments: int


def move() -> Move | None:
    """None where there was only ever one account."""
    now = StripeAccount.in_use()
    others = select(StripeAccount).where(StripeAccount.is_in_use.is_(False)).order_by(StripeAccount.in_use_since)
    before = list(db.session.scalars(others))
    if now is None or not before:
        return None
    kinds = (*SOLD.items(), ("customer", Account))
    waiting = Payment.state.in_(("open", "processing"))
    return Move(
        now=now,
        before=before,
        made={kind: count(made_anew(kind, table)) for kind, table in kinds},
        known={kind: count(known_before(kind)) for kind, _ in kinds},
        left=left_behind(),
        cards=count(select(AutoRecharge.id).where(AutoRecharge.pause_reason == "other_account")),
        payments=count(select(Payment.id).where(waiting, Payment.former_account_id.is_not(None))),
    )


def count(rows: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def known_before(kind: str) -> Select[Any]:
    return select(FormerId.row_id).where(FormerId.kind == kind).distinct()


def made_anew(kind: str, table: Any) -> Select[Any]:
    own = table.stripe_customer_id if table is Account else table.stripe_price_id
    return known_before(kind).join(table, table.id == FormerId.row_id).where(own.is_not(None))


def left_behind() -> list[Any]:
    """(account id, its name, plan, the end of what is paid): they have to subscribe anew."""
    until = func.coalesce(Subscription.paid_until, Subscription.trial_end, Subscription.period_end)
    columns = Account.id, ACCOUNT_NAME, Plan.name.label("plan"), until.label("until")
    joined = select(*columns).join(Subscription, Subscription.account_id == Account.id)
    running = (
        Subscription.former_account_id.is_not(None),
        Subscription.status.in_(LIVE),
        Subscription.is_in_force,
    )
    rows = joined.join(Plan, Plan.id == Subscription.plan_id).where(*running).order_by(until)
    return list(db.session.execute(rows.limit(SHOWN)))
