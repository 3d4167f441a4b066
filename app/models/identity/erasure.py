"""Erases people and chats; receipts and ledger stay, without a name. security.md 29."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, select, update

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat, Message
from app.models.documents.document import Document, erase_documents
from app.models.identity.account import Account
from app.models.identity.invitation import Invitation
from app.models.identity.membership import Membership
from app.models.identity.personal_data import PERSONAL, Person, strike_mentions
from app.models.identity.user import User
from app.models.operations.outbox import OutgoingMail
from app.models.operations.outgoing_webhook import WebhookEndpoint

SENT_WITHIN = timedelta(hours=1)
"""After its deletion a chat is erased once more: another tab may just have been sending a message."""

AT_ONCE = 1_000
"""Chats of a statement: PostgreSQL takes 65,535 values."""


def delete_person(user: User) -> list[int]:
    """Erase the user, leave the teams, close what was theirs alone; returns the ids of the closed accounts.

    Conflict where a team with other members would be left without an owner. That an address had its free
    credits stays known: the ledger's keys carry a mark of it.
    """
    memberships = sorted(user.memberships, key=lambda membership: membership.account_id)
    accounts = [Account.locked(membership.account_id) for membership in memberships]
    closed = [
        account for account, membership in zip(accounts, memberships, strict=True) if not was_left(account, membership)
    ]
    for account in closed:
        account.close()
        for endpoint in WebhookEndpoint.of(account.id):
            endpoint.remove()
    erase_person(user, [account.id for account in closed])
    return [account.id for account in closed]


def erase_person(user: User, account_ids: Sequence[int]) -> None:
    """Erase every column of `PERSONAL` that is the person's or their closed accounts'."""
    person, name = Person(user.id, account_ids, [user.email]), user.name
    erase_chats(Chat.user_id == user.id)
    erase_documents(Document.user_id == user.id)
    user.erase()
    db.session.flush()
    for personal in PERSONAL:
        if personal.becomes != {}:
            personal.erase(person)
    strike_mentions(person, *person.addresses, name)
    db.session.expire_all()


def carry_over(user: User, former: str) -> None:
    """What was kept under a former address stays findable once the person has another one."""
    mails = OutgoingMail.to == former, OutgoingMail.user_id.is_(None)
    db.session.execute(update(OutgoingMail).where(*mails).values(user_id=user.id))
    accepted = Invitation.email == former, Invitation.accepted_at.is_not(None)
    db.session.execute(update(Invitation).where(*accepted).values(email=user.email))


def was_left(account: Account, membership: Membership) -> bool:
    """Leave a team that others are in; False where the person is alone in the account.

    A closed team stays with its last owner: nobody can take it over anymore.
    """
    db.session.refresh(account, ["memberships"])
    if len(account.memberships) == 1 or (account.closed_at and membership.is_last_owner):
        return False
    membership.end()
    return True


def forget_guests(after: timedelta) -> int:
    """Erase the chats of guests in which nothing was said for so long; returns how many."""
    late = Chat.guest.is_not(None), Chat.updated_at < utcnow() - after
    return erase_chats(*late, Chat.deleted_at.is_(None))


def delete_temporary_chats() -> int:
    """Delete the temporary chats in which nothing was said for as many days as the setting says; returns how many."""
    last = utcnow() - timedelta(days=Setting.get("temporary_chat_days"))
    return delete_chats(and_(Chat.is_temporary, Chat.updated_at < last), deleted_at=None)


def delete_chats(*which: ColumnElement[bool], **owned: Any) -> int:
    """Out of their person's sight at once; their files and, as many days later as the setting says, their text are
    erased. Returns how many they were."""
    chats, now = list(db.session.scalars(select(Chat.id).filter_by(**owned).where(*which))), utcnow()
    gone = {"deleted_at": now, "erase_at": now + timedelta(days=Setting.get("deleted_chat_days"))}
    for start in range(0, len(chats), AT_ONCE):
        some = chats[start : start + AT_ONCE]
        db.session.execute(update(Chat).where(Chat.id.in_(some)).values(**gone))
        Attachment.erase_chats(some)
        erase_chats(Chat.id.in_(some), Chat.erase_at <= now)
        whole = Chat.id.in_(some), Chat.erase_at.is_(None)
        db.session.execute(update(Chat).where(*whole).values(erase_at=now + SENT_WITHIN))
    return len(chats)


def erase_due_chats() -> int:
    """Erase the deleted chats whose days are over; returns how many."""
    return erase_chats(Chat.erase_at <= utcnow())


def erase_chats(*which: ColumnElement[bool]) -> int:
    """Erase what was said in these chats, however many; returns how many they were. Receipts stay."""
    chats = list(db.session.scalars(select(Chat.id).where(*which)))
    for start in range(0, len(chats), AT_ONCE):
        erase_said(chats[start : start + AT_ONCE])
    return len(chats)


def erase_said(chats: Sequence[int]) -> None:
    """An answer that is still being written is erased again by the next run, once it has ended."""
    now = utcnow()
    said = Message.chat_id.in_(chats)
    db.session.execute(delete(Attachment).where(Attachment.message_id.in_(select(Message.id).where(said))))
    running = list(db.session.scalars(select(Message.chat_id).where(said, Message.status == "running")))
    db.session.execute(update(Message).where(said).values(content="", error_detail=None))
    gone: dict[str, Any] = {
        "title": "",
        "system_prompt": "",
        "folder": None,
        "deleted_at": func.coalesce(Chat.deleted_at, now),
        "wants_title": False,
        "share_token": None,
    }
    gone["erase_at"] = case((Chat.id.in_(running), now), else_=None)
    db.session.execute(update(Chat).where(Chat.id.in_(chats)).values(**gone))
