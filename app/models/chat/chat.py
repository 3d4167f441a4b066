"""Chats and messages: the words. What a message cost is in its usage row."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Index, Select, Table, and_, bindparam, false, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.compiled_statement import CompiledStatement
from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, at_once, one_of, partial_index, refers_to, row_id, utcnow
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.call_ending import can_go_on
from app.models.metering.refusal import InvalidRequest

MOST_OUTPUT_TOKENS = 10**6
LONGEST_FOLDER = 60
TITLE_LENGTH = 60
STATUSES = ("running", "done", "stopped", "failed", "interrupted")
OF_GUEST = text("guest IS NOT NULL")
TO_ERASE = text("erase_at IS NOT NULL")
TEMPORARY = text("is_temporary AND deleted_at IS NULL")
TEMPORARY_TITLE = "Temporary chat"


class Chat(Model):
    """A conversation of one person, charged to one account. `leaf_id` is the last message of the shown branch.

    `document_id` is the document that it is about: its text goes along with every message.
    `folder` is the name of the one that it is kept in: a folder is there as long as a chat is in it.
    `is_temporary`: it is in no list and no search, has no title, and is deleted some days after its last message.
    `guest` is the digest of a guest's secret: the chats of all guests belong to the house, each to one of them.
    """

    __tablename__ = "chats"
    __table_args__ = (
        Index("ix_chats_account_user_newest", "account_id", "user_id", "updated_at"),
        partial_index("ix_chats_to_erase", "erase_at", where=TO_ERASE),
        partial_index("ix_chats_temporary", "updated_at", where=TEMPORARY),
        partial_index("ix_chats_guest", "guest", where=OF_GUEST),
        Index("ix_chats_share_token", "share_token", unique=True),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int] = refers_to("users.id")
    guest: Mapped[str | None]
    title: Mapped[str] = mapped_column(default="")
    model: Mapped[str]
    leaf_id: Mapped[int | None] = mapped_column(BigId)
    system_prompt: Mapped[str] = mapped_column(default="")
    max_output_tokens: Mapped[int | None]
    budget_nanos: Mapped[Nanos | None]
    document_id: Mapped[int | None] = mapped_column(BigId)
    folder: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
    pinned_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    wants_title: Mapped[bool] = mapped_column(default=False)
    is_temporary: Mapped[bool] = mapped_column(default=False, server_default=false())
    deleted_at: Mapped[datetime | None]
    share_token: Mapped[str | None]
    """The secret of its link: whoever has it reads the branch up to `shared_leaf_id`, as it stood at `shared_at`."""
    shared_leaf_id: Mapped[int | None] = mapped_column(BigId)
    shared_at: Mapped[datetime | None]
    erase_at: Mapped[datetime | None]
    """When the text of a deleted chat is to be erased for good; None once it was."""

    @classmethod
    def to_ask(cls, identifier: str, **own: Any) -> "Chat | None":
        """What `find` would find, to be read; `own`: account_id, user_id, guest, deleted_at."""
        with at_once() as connection:
            row = OWN.first(connection, own | {"chat": row_id(identifier)})
        return cls.apart(row) if row else None

    @classmethod
    def shared_by(cls, token: str) -> "Chat | None":
        """The chat of a link; None where it was revoked, its person is disabled or left, or the account is closed."""
        member = Membership.account_id == cls.account_id, Membership.user_id == cls.user_id
        rightful = select(User.id).where(User.id == cls.user_id, User.disabled_at.is_(None)).exists()
        is_open = select(Account.id).where(Account.id == cls.account_id, Account.closed_at.is_(None)).exists()
        live = (
            cls.share_token == token,
            cls.deleted_at.is_(None),
            select(Membership.id).where(*member).exists(),
        )
        return db.session.scalar(select(cls).where(*live, rightful, is_open))

    @classmethod
    def listed(cls, **own: Any) -> Select["Chat"]:
        """A person's chats but the temporary ones; `own` as in `to_ask`."""
        return select(cls).filter_by(**own).where(cls.is_temporary.is_(False))

    @classmethod
    def started_since(cls, account_id: int, moment: datetime) -> int:
        """How many chats the account has begun since then; deleted ones count."""
        begun = cls.account_id == account_id, cls.created_at >= moment
        return db.session.scalar(select(func.count()).select_from(cls).where(*begun)) or 0

    @classmethod
    def hand_over(cls, guest: str, *, account_id: int, user_id: int) -> None:
        """Give a guest's chats to the person whom they turned out to be. What they cost stays with the house."""
        chats = select(cls.id).where(cls.guest == guest)
        db.session.execute(update(Message).where(Message.chat_id.in_(chats)).values(account_id=account_id))
        owner = {"account_id": account_id, "user_id": user_id, "guest": None}
        db.session.execute(update(cls).where(cls.guest == guest).values(**owner))

    def everything(self) -> "list[Message]":
        """The messages of all branches, in the order in which they were made."""
        return list(db.session.scalars(select(Message).where(Message.chat_id == self.id).order_by(Message.id)))

    def messages(self) -> "list[Message]":
        """The shown branch, oldest first."""
        return branch(self.everything(), self.leaf_id)

    def shared_messages(self) -> "list[Message]":
        """What the link shows: the branch as it stood when it was shared, without what is still being written."""
        told = branch(self.everything(), self.shared_leaf_id)
        return [message for message in told if not message.is_running]

    def share(self) -> None:
        """Let the link show the chat as it is now; the first time, make it."""
        self.share_token = self.share_token or secrets.token_urlsafe(24)
        self.shared_leaf_id, self.shared_at = self.leaf_id, utcnow()

    def unshare(self) -> None:
        self.share_token = self.shared_leaf_id = self.shared_at = None

    def versions(self) -> dict[int, list[int]]:
        """The ids of a message's siblings and its own, in order, for each message that has any."""
        siblings: dict[int | None, list[int]] = {}
        for message in self.everything():
            siblings.setdefault(message.parent_id, []).append(message.id)
        return {own: ids for ids in siblings.values() if len(ids) > 1 for own in ids}

    @classmethod
    def folders_of(cls, **own: Any) -> list[str]:
        """The names of a person's folders; `own` as in `to_ask`."""
        names = cls.listed(**own).where(cls.folder.is_not(None), cls.archived_at.is_(None))
        distinct = names.with_only_columns(cls.folder).distinct()
        return sorted((str(name) for name in db.session.scalars(distinct)), key=str.casefold)

    @classmethod
    def rename_folder(cls, name: str, new_name: str | None, **own: Any) -> None:
        """Under the name of another folder the two become one; without a name its chats are in none."""
        db.session.execute(update(cls).filter_by(folder=name, **own).values(folder=new_name))

    def rename(self, title: str) -> None:
        """By hand, which wins over what a model would write."""
        self.title, self.wants_title = title, False

    def keep(self) -> None:
        """As any other chat, called by the first words that were said in it."""
        first = self.messages()[:1]
        self.is_temporary = False
        self.rename(title_of(first[0].content) if first else "")

    def show(self, version: "Message") -> None:
        """Show the branch of that version, to its newest end."""
        newest = {message.parent_id: message.id for message in self.everything()}
        self.leaf_id = version.id
        while self.leaf_id in newest:
            self.leaf_id = newest[self.leaf_id]


def title_of(content: str) -> str:
    """The first words of the first question."""
    line = " ".join(content.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def folder_name(typed: str) -> str | None:
    """As it is kept; None for none."""
    name = " ".join(typed.replace("\x00", "").split())
    if len(name) > LONGEST_FOLDER:
        raise InvalidRequest({"folder": [f"must have at most {LONGEST_FOLDER} characters."]})
    return name or None


CHATS: Table = Chat.__table__  # type: ignore[assignment]
IS_OWN = and_(
    CHATS.c.id == bindparam("chat"),
    CHATS.c.account_id == bindparam("account_id"),
    CHATS.c.user_id.is_not_distinct_from(bindparam("user_id")),
    CHATS.c.guest.is_not_distinct_from(bindparam("guest")),
    CHATS.c.deleted_at.is_not_distinct_from(bindparam("deleted_at")),
)
"""Whose it is is compared so that no index answers to it: where the table has no statistics yet, PostgreSQL would
take that of a person's newest chats, and go through all of them."""

OWN = CompiledStatement(select(*CHATS.c).where(IS_OWN))


class Message(Model):
    """A question or an answer. Answers to one question, and edits of it, are siblings: they share a parent.

    `attached_id` is the question whose files this one carries: itself, or the one that it is an edit of.
    `is_refused`, of an answer: its question was refused as such, and is not sent again.
    """

    __tablename__ = "messages"
    __table_args__ = (
        one_of("role", "user", "assistant"),
        one_of("status", *STATUSES),
        Index("ix_messages_chat", "chat_id", "id"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    chat_id: Mapped[int] = refers_to("chats.id")
    parent_id: Mapped[int | None] = refers_to("messages.id")
    role: Mapped[str]
    content: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="done")
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    model: Mapped[str | None]
    call_id: Mapped[int | None] = refers_to("usages.id", index=True)
    attached_id: Mapped[int | None] = refers_to("messages.id")
    is_refused: Mapped[bool] = mapped_column(default=False)
    checkpoint_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]

    call = relationship("Usage")
    chat = relationship("Chat")

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    @property
    def written(self) -> str:
        """What a model wrote of it."""
        return self.content

    @property
    def is_on_the_house(self) -> bool:
        """Whether the answer was written for a guest, so that nobody was charged: also once the chat is a person's."""
        if self.call is None:
            return False
        return self.chat.guest is not None or bool(self.call.account_id != self.account_id)

    @property
    def can_go_on(self) -> bool:
        """Whether its limit cut it off, or what was to go on with it failed."""
        if self.call is None or self.is_running:
            return False
        if self.status in ("failed", "interrupted"):
            return self.call.continues_id is not None
        return self.status == "done" and can_go_on(self.call.finish_reason, has_text=bool(self.content.strip()))

    @property
    def charged_nanos(self) -> int | None:
        """What the answer cost its reader; None for a question."""
        if self.call is None:
            return None
        return 0 if self.is_on_the_house else int(self.call.paid_so_far_nanos)


class Linked(Protocol):
    """Anything that hangs in the tree of a chat."""

    @property
    def id(self) -> Any: ...

    @property
    def parent_id(self) -> Any: ...


Link = TypeVar("Link", bound=Linked)


def branch(messages: Sequence[Link], leaf_id: int | None) -> list[Link]:
    """The messages from the first to the leaf, along the parents."""
    by_id = {message.id: message for message in messages}
    path: list[Link] = []
    current = by_id.get(leaf_id)
    while current is not None:
        path.append(current)
        current = by_id.get(current.parent_id)
    return path[::-1]


def checked_instructions(text: str) -> str:
    """What a model is told before every message, trimmed. InvalidRequest where it is longer than a message may be."""
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text.encode("utf-8", "replace")) > Setting.get("max_message_bytes"):
        raise InvalidRequest({"system_prompt": ["is longer than one message may be."]})
    return text
