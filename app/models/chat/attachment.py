"""Files of a message: images and texts, stored as they came, bounded, and gone with their chat."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.base import Model, refers_to, utcnow
from app.models.catalog.setting import Setting
from app.models.chat.chat import Message
from app.models.chat.file_text import text_of
from app.models.chat.picture import NotReadable, Picture, read_picture
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.refusal import InvalidRequest

MOST_OF_A_MESSAGE = 5
MOST_UNSENT = 20
UNSENT_FOR = timedelta(days=1)
LONGEST_NAME = 100
MEGABYTE = 1_000_000
TEXT = "text/plain"
BACKTICKS = re.compile(r"`{3,}")


class Attachment(Model):
    """A file. `message_id` is the question it was sent with; None until then, and then for a day at most.

    An image that a model made has the `call_id` it was made by: it belongs to that call's answer, or to the document,
    or to nothing, and stays.

    `size` is in bytes, width and height of an image in pixels. A text is kept as UTF-8; `excerpt` says
    what it is of a longer file: "the first 40 of 120 pages".
    """

    __tablename__ = "attachments"

    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    user_id: Mapped[int] = refers_to("users.id", index=True)
    message_id: Mapped[int | None] = refers_to("messages.id", index=True)
    document_id: Mapped[int | None] = mapped_column(ForeignKey("documents.id"), index=True)
    call_id: Mapped[int | None] = mapped_column(ForeignKey("usages.id"), index=True)
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    width: Mapped[int | None]
    height: Mapped[int | None]
    excerpt: Mapped[str | None]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)

    @classmethod
    def keep(cls, actor: Actor, name: str, content: bytes) -> "Attachment":
        """Store a file to be sent. InvalidRequest where it is of no kind that models take, or too large."""
        try:
            image = read_picture(content)
        except NotReadable as error:
            raise InvalidRequest({"data": [str(error)]}) from error
        details = image_facts(image, content) if image else text_facts(content, actor.account_id)
        Account.locked(actor.account_id)
        cls._check_room(actor, details["size"])
        owner = {"account_id": actor.account_id, "user_id": actor.user_id}
        kept = cls(name=plain_name(name), **owner, **details)
        db.session.add(kept)
        db.session.flush()
        return kept

    @classmethod
    def _check_room(cls, actor: Actor, size: int) -> None:
        unsent = select(func.count()).where(cls.user_id == actor.user_id, *UNSENT)
        if (db.session.scalar(unsent) or 0) >= MOST_UNSENT:
            raise InvalidRequest({"data": [f"can't be added: you already have {MOST_UNSENT} unsent files."]})
        if cls.bytes_of(actor.account_id) + size > most_bytes():
            message = (
                f"can't be added: this account has used its {most_bytes() // MEGABYTE} MB for files. "
                "Delete a chat with files."
            )
            raise InvalidRequest({"data": [message]})

    @classmethod
    def bytes_of(cls, account_id: int) -> int:
        """What an account's files hold now."""
        return int(db.session.scalar(select(func.sum(cls.size)).where(cls.account_id == account_id)) or 0)

    @classmethod
    def of_call(cls, call_id: int) -> "list[Attachment]":
        """The images that a call made, in their order."""
        return list(db.session.scalars(select(cls).where(cls.call_id == call_id).order_by(cls.id)))

    @classmethod
    def of_document(cls, document_id: int) -> "list[Attachment]":
        """The images that were made for a document, newest first."""
        own = select(cls).where(cls.document_id == document_id)
        return list(db.session.scalars(own.order_by(cls.id.desc())))

    @classmethod
    def unsent(cls, actor: Actor, ids: Sequence[int]) -> "list[Attachment]":
        """The caller's files of these ids, in this order. InvalidRequest where one is not there or was sent before."""
        own = cls.account_id == actor.account_id, cls.user_id == actor.user_id, *UNSENT
        files = {file.id: file for file in db.session.scalars(select(cls).where(cls.id.in_(ids), *own))}
        if any(file_id not in files for file_id in ids):
            raise InvalidRequest({"attachments": ["hold one that has expired. Attach it again."]})
        return [files[file_id] for file_id in ids]

    @classmethod
    def of_messages(cls, ids: Sequence[int]) -> "dict[int, list[Attachment]]":
        """The files of these messages, by message, in the order in which they were attached."""
        files: dict[int, list[Attachment]] = {}
        for file in db.session.scalars(select(cls).where(cls.message_id.in_(ids)).order_by(cls.id)):
            files.setdefault(file.message_id or 0, []).append(file)
        return files

    @classmethod
    def carried_by(cls, messages: Sequence[Message]) -> "dict[int, list[Attachment]]":
        """The files that these messages carry, by the message that they were sent with."""
        return cls.of_messages([message.attached_id for message in messages if message.attached_id])

    @classmethod
    def erase_chats(cls, chats: Sequence[int]) -> None:
        said = select(Message.id).where(Message.chat_id.in_(chats))
        db.session.execute(delete(cls).where(cls.message_id.in_(said)))

    @classmethod
    def erase_unsent(cls) -> int:
        """Those that have waited for a day; returns how many."""
        late = *UNSENT, cls.created_at < utcnow() - UNSENT_FOR
        return int(db.session.execute(delete(cls).where(*late)).rowcount)  # type: ignore[attr-defined]

    @property
    def is_image(self) -> bool:
        return self.media_type != TEXT

    @property
    def quoted(self) -> str:
        """A text as a model reads it: its name, and its words between fences that it does not contain itself."""
        message = self.content.decode("utf-8", "replace")
        longest = max((len(run) for run in BACKTICKS.findall(message)), default=2)
        fence = "`" * (longest + 1)
        part = f" ({self.excerpt})" if self.excerpt else ""
        return f"File {self.name}{part}:\n{fence}\n{message}\n{fence}"


UNSENT = Attachment.message_id.is_(None), Attachment.call_id.is_(None)
"""What was put up and waits to be sent with a question."""


def most_bytes() -> int:
    """What an account's files may hold."""
    return int(Setting.get("attachment_megabytes")) * MEGABYTE


def send_with(files: Sequence[int], message_id: int) -> None:
    """Tie unsent files to the question that they are sent with."""
    waiting = Attachment.id.in_(files), *UNSENT
    tied = db.session.execute(update(Attachment).where(*waiting).values(message_id=message_id))
    if tied.rowcount != len(files):  # type: ignore[attr-defined]
        raise InvalidRequest({"attachments": ["have already been sent."]})
    db.session.execute(update(Message).where(Message.id == message_id).values(attached_id=message_id))


def image_facts(image: Picture, content: bytes) -> dict[str, Any]:
    size = {"width": image.width, "height": image.height, "size": len(content)}
    return {"media_type": image.media_type, "content": content, **size}


def text_facts(content: bytes, account_id: int) -> dict[str, Any]:
    """A text, or what a PDF or an office file says; of these the text alone is kept."""
    text, excerpt = text_of(content, Setting.get("max_message_bytes"), "data", account_id)
    stored = text.encode()
    return {"media_type": TEXT, "content": stored, "size": len(stored), "excerpt": excerpt}


def plain_name(name: str) -> str:
    """The file's name in one line, without folders."""
    last = re.split(r"[\\/]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable()).strip()[-LONGEST_NAME:] or "file"
