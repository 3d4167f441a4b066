"""The guest account: reserves and settles what visitors without an account use; nobody is charged."""

import secrets
from typing import Any

from sqlalchemy import exists, select, update

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.setting import DEFINITIONS, Setting
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.membership import Membership
from app.models.identity.user import User, digest

ADDRESS = "guests@house.invalid"
PLAN: dict[str, Any] = {
    "name": "Guests",
    "description": "What visitors try without an account. Its limit is a setting, its models those marked free.",
    "status": "legacy",
    "margin_bps": 0,
    "allowance_override_nanos": 31 * DEFINITIONS["guests_daily"].highest,
    "parallel_calls": 25,
    "has_api": False,
    "allows_packs": False,
}
"""The allowance never runs out before the month does: what bounds the house is the limit of its day."""


def is_guest_account() -> Any:
    """The condition that a plan is the house's own."""
    return exists().where(Account.plan_id == Plan.id, Account.kind == "house")


def accepts_guests() -> bool:
    """Whether visitors may try the chat now: the admin allows it, and a model on sale is marked free for them."""
    return bool(Setting.get("guests_allowed")) and bool(free_models())


def free_models() -> list[str]:
    return [model.name for model, _price in AIModel.for_sale() if model.is_free_for_guests]


def open_guest_account() -> None:
    """Make the house account where there is none yet; of two requests at once the second finds it."""
    db.session.execute(update(Plan).where(Plan.is_default).values(id=Plan.id))
    if guest_membership() is not None:
        return
    nobody = User.join(ADDRESS, "Guests", secrets.token_urlsafe(32))
    db.session.flush()
    nobody.disable()
    Account.open(nobody, kind="house", name="Guests", plan=Plan(**PLAN))


def guest_membership() -> Membership | None:
    house = select(Membership).join(Account, Account.id == Membership.account_id)
    return db.session.scalar(house.where(Account.kind == "house"))


def guest_actor(secret: str) -> Actor | None:
    """The guest whose cookie holds that secret, bounded by what the settings say now; None where none are let in."""
    models = free_models() if Setting.get("guests_allowed") else []
    membership = guest_membership() if models else None
    if membership is None:
        return None
    plan = membership.account.plan
    plan.daily_limit_nanos, plan.models = Setting.get("guests_daily"), models
    membership.account.take_limits(plan)
    db.session.flush()
    return Actor(
        user_id=membership.user_id,
        account_id=membership.account_id,
        role="member",
        email="",
        name="",
        is_verified=True,
        guest=digest(secret),
    )
