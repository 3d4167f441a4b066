"""One account's whole story: what the page of an account tells, read in a handful of statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance import next_refill
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.identity.guest_account import is_guest_account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.account_state import AccountState
from app.models.metering.usage import Usage
from app.models.operations.audit_log import AdminChange
from app.models.operations.outbox import OutgoingMail
from app.models.operations.refused_call import RefusedCall
from app.models.operations.webhook_event import StripeEvent

SHOWN = 20


def story_of(account: Account) -> dict[str, Any]:
    """What the template is handed: members, ledger, calls, changes, newest first."""
    return {
        "balance": AccountState.load(account.id).balance(utcnow()),
        "comes": next_refill(account, utcnow()),
        "members": (members := members_of(account)),
        "mails": mails_about(account, [member.email for member in members]),
        "entries": newest(LedgerEntry, account),
        "calls": newest(Usage, account),
        "refusals": newest(RefusedCall, account),
        "changes": newest(AdminChange, account),
        "payments": newest(Payment, account),
        "events": newest(StripeEvent, account),
        "subscription": Subscription.live_of(account.id),
        "recharge": AutoRecharge.of(account.id),
        "plans": plans_to_move_to(),
    }


def members_of(account: Account) -> list[Any]:
    query = (
        select(Membership.role, User.id, User.email, User.name, User.email_verified_at, User.disabled_at)
        .join(User, User.id == Membership.user_id)
        .where(Membership.account_id == account.id)
        .order_by(Membership.id)
    )
    return list(db.session.execute(query))


def mails_about(account: Account, addresses: list[str]) -> list[OutgoingMail]:
    """The newest mails to these people about this account; what concerns their other accounts is not its story."""
    about = OutgoingMail.context["account_id"].as_integer() == account.id
    sent = select(OutgoingMail).where(OutgoingMail.to.in_(addresses), about)
    return list(db.session.scalars(sent.order_by(OutgoingMail.id.desc()).limit(SHOWN)))


def newest(kind: type[Any], account: Account) -> list[Any]:
    return list(
        db.session.scalars(
            select(kind).where(kind.account_id == account.id).order_by(kind.id.desc()).limit(SHOWN)
        )
    )


def plans_to_move_to() -> list[Plan]:
    """Plans that give rights, those that cannot be chosen any more included: an admin may."""
    return list(
        db.session.scalars(
            select(Plan)
            .where(Plan.status != "inactive", ~is_guest_account())
            .order_by(Plan.position, Plan.id)
        )
    )
