"""Who is on a plan, and what a change of its status will do to them: said before it is saved."""

from __future__ import annotations

from sqlalchemy import func, select

from app.extensions import db
from app.models.account import Account
from app.models.plan import Plan


def accounts_on(plan: Plan) -> int:
    return db.session.scalar(select(func.count()).where(Account.plan_id == plan.id)) or 0


def consequences(plan: Plan) -> list[tuple[str, str]]:
    """What each status means for those who are on the plan now."""
    count = accounts_on(plan)
    people = (
        "Nobody is on it." if not count else f"{count} {'account is' if count == 1 else 'accounts are'} on it"
    )
    if not count:
        return [("now", people)]
    return [
        ("now", f"{people}."),
        ("active", "It can be chosen on the pricing page."),
        ("legacy", "They keep it as it is, refills included; nobody else can choose it."),
        ("inactive", "They get no usage at all, bought credits included, until they change the plan. Subscriptions "
         "end with the period that is paid; auto-recharge pauses."),
    ]  # fmt: skip


def default_plan() -> Plan | None:
    """The plan that new accounts start on, where there is one already."""
    return db.session.scalar(select(Plan).where(Plan.is_default))
