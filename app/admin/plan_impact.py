"""Who is on a plan, and what a change of its status will do to them: said before it is saved."""

from sqlalchemy import ColumnElement, func, select

from app.extensions import db
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.web.formatting import counted


def accounts_on(plan: Plan) -> int:
    return db.session.scalar(select(func.count()).where(Account.plan_id == plan.id)) or 0


def count_running(condition: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).where(condition, Subscription.is_running())) or 0


def consequences(plan: Plan) -> list[tuple[str, str]]:
    """Who is on the plan now, and what each status means for them."""
    count, subscribed = accounts_on(plan), count_running(Subscription.plan_id == plan.id)
    coming = count_running(Subscription.pending_plan_id == plan.id)
    if not count and not coming:
        return [("now", "Nobody is on it.")]
    recharging = len(AutoRecharge.acting(Account.plan_id == plan.id))
    verb = "is" if count == 1 else "are"
    moving = f" {counted(coming, 'subscription')} will move to it." if coming else ""
    return [
        ("now", f"{counted(count, 'account')} {verb} on it, {counted(subscribed, 'subscription')}.{moving}"),
        ("active", "It can be chosen on the pricing page."),
        ("legacy", "They keep it, refills included; nobody else can choose it."),
        ("inactive", f"{counted(count, 'account')} would get no usage at all, bought credits included, until they "
         f"change the plan. {counted(subscribed + coming, 'subscription').capitalize()} would end with the paid "
         f"period; {counted(recharging, 'auto-recharge')} would pause."),
    ]  # fmt: skip


def pack_consequences(pack: CreditPack) -> list[tuple[str, str]]:
    """What buys the pack by itself, and what its retirement means for that; nothing where nothing does."""
    recharging = len(AutoRecharge.acting(AutoRecharge.pack_id == pack.id))
    if not recharging:
        return []
    buys = f"{counted(recharging, 'auto-recharge')} {'buys' if recharging == 1 else 'buy'} it."
    return [("now", buys), ("legacy or inactive", f"{counted(recharging, 'auto-recharge')} would pause.")]


def default_plan() -> Plan | None:
    """The plan that new accounts start on, where there is one already."""
    return db.session.scalar(select(Plan).where(Plan.is_default))
