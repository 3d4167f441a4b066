"""Grants and adjustments: ledger entries with an author and a reason, never an edit of a balance."""

import secrets
from datetime import datetime, time

from flask_login import current_user
from sqlalchemy import func, select
from wtforms import HiddenField, StringField
from wtforms.validators import Length, Regexp

from app.admin.access import is_owner
from app.admin.cell_formats import credits_text
from app.admin.form_fields import Credits, FieldError, Required, RowForm
from app.extensions import db
from app.models.base import utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange
from app.web.numbers import LARGEST_STORED

MOST = 10**15
"""A million credits a grant: more is a slip of the hand."""


class GrantForm(RowForm):
    seen = None
    amount = Credits(
        "Credits",
        lowest=-MOST,
        highest=MOST,
        validators=[Required()],
        description="Use a minus sign to remove credits, even below zero.",
    )
    reason = StringField(
        "Reason", validators=[Required(), Length(max=500)], description="The account's members can see it."
    )
    once = HiddenField(default=lambda: secrets.token_hex(16), validators=[Regexp(r"[0-9a-f]{32}$")])


def grant(account_id: int, *, amount: int, reason: str, once: str) -> LedgerEntry | None:
    """Give or take credits; None where this very form was sent before. FieldError where it may not be."""
    if amount == 0:
        raise FieldError("amount", "0 changes nothing.")
    account = Account.locked(account_id)
    if abs(account.credits_nanos + amount) > LARGEST_STORED:
        raise FieldError("amount", "This number is too large.")
    check_daily_bound(amount)
    kind = "grant" if amount > 0 else "adjustment"
    context = {"reason": reason.strip(), "actor_id": current_user.user_id}
    entry = LedgerEntry.post(account, kind, f"admin:{once}", credits=amount, **context)
    if entry is not None:
        changes = {"credits": [None, credits_text(amount)]}
        AdminChange.note(current_user.user_id, kind, account, reason=reason, changes=changes)
    return entry


def check_daily_bound(amount: int) -> None:
    """The support's grants of one day have a bound; the person's row is held so that two at once see each other."""
    if is_owner():
        return
    db.session.execute(select(User.id).where(User.id == current_user.user_id).with_for_update())
    bound = Setting.get("support_grant_daily")
    rest = bound - moved_today(current_user.user_id)
    if abs(amount) > rest:
        raise FieldError(
            "amount",
            f"Support can move {credits_text(bound)} credits a day; {credits_text(max(0, rest))} left today.",
        )


def moved_today(user_id: int) -> int:
    today = datetime.combine(utcnow().date(), time(), utcnow().tzinfo)
    moved = func.sum(func.abs(LedgerEntry.credits_nanos))
    return int(
        db.session.scalar(select(moved).where(LedgerEntry.actor_id == user_id, LedgerEntry.created_at >= today)) or 0
    )
