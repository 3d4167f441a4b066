"""What goes when a person goes: chats and address; receipts and ledger stay, without a name."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select, update

from app.extensions import db
from app.models.base import utcnow
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.operations.outbox import OutgoingMail


def delete_person(user: User) -> list[int]:
    """Erase the user, leave the teams, close what was theirs alone; returns the ids of the closed accounts.

    Conflict where a team with other members would be left without an owner. That an address had its free
    credits stays known: the ledger's keys carry a mark of it.
    """
    memberships = sorted(user.memberships, key=lambda membership: membership.account_id)
    accounts = [Account.locked(membership.account_id) for membership in memberships]
    closed = [
        account
        for account, membership in zip(accounts, memberships, strict=True)
        if not was_left(account, membership)
    ]
    for account in closed:
        account.close()
    db.session.execute(delete(Attachment).where(Attachment.user_id == user.id))
    erase_chats(Chat.user_id == user.id)
    address = user.email
    user.erase()
    OutgoingMail.forget(address, user.email)
    return [account.id for account in closed]


def was_left(account: Account, membership: Membership) -> bool:
    """Leave a team that others are in; False where the person is alone in the account."""
    db.session.refresh(account, ["memberships"])
    if len(account.memberships) == 1:
        return False
    membership.end()
    return True


def forget_guests(after: timedelta) -> int:
    """Erase the chats of guests in which nothing was said for so long; returns how many."""
    late = Chat.guest.is_not(None), Chat.updated_at < utcnow() - after
    return erase_chats(*late, Chat.deleted_at.is_(None))


def erase_chats(*which: ColumnElement[bool]) -> int:
    """Erase what was said in these chats; returns how many they were. Receipts stay."""
    chats = select(Chat.id).where(*which)
    said = {"content": "", "error_detail": None}
    db.session.execute(update(Message).where(Message.chat_id.in_(chats)).values(**said))
    gone = {"title": "", "system_prompt": "", "deleted_at": utcnow()}
    return int(db.session.execute(update(Chat).where(*which).values(**gone)).rowcount)  # type: ignore[attr-defined]
