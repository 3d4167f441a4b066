"""Documents: texts in Markdown that a person works on with models, and every revision of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Index, LargeBinary, UniqueConstraint, cast, delete, func, select, update
from sqlalchemy.orm import Mapped, defer, mapped_column, query_expression, relationship, with_expression

from app.db.types import BigId
from app.extensions import db
from app.models.base import Model, one_of, refers_to, utcnow
from app.models.chat.attachment import MEGABYTE, Attachment
from app.models.chat.chat import STATUSES
from app.models.identity.actor import Actor
from app.models.metering.refusal import Conflict, InvalidRequest

LONGEST_BODY = 400_000
"""Characters."""

MOST_REVISIONS, ROOM = 1_000, 200 * MEGABYTE
"""Of a document, and bytes of all texts of an account's documents."""

SAME_SITTING = timedelta(minutes=10)
"""Edits by hand within this time of each other are one revision."""


class Document(Model):
    """A document of one person in one account. `head_id` is the revision that it shows; None: it is empty.

    `source_id` is the document that it was made from, and `kind` what it was to become.
    """

    __tablename__ = "documents"
    __table_args__ = (Index("ix_documents_account_user_newest", "account_id", "user_id", "updated_at"),)

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int] = refers_to("users.id")
    title: Mapped[str] = mapped_column(default="")
    head_id: Mapped[int | None] = mapped_column(BigId)
    source_id: Mapped[int | None] = refers_to("documents.id")
    kind: Mapped[str] = mapped_column(default="")
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
    archived_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    @classmethod
    def begin(cls, actor: Actor, title: str, **columns: object) -> "Document":
        """A new, empty one. The caller has checked the plan's limit and holds the account."""
        document = cls(account_id=actor.account_id, user_id=actor.user_id, title=title, **columns)
        db.session.add(document)
        db.session.flush()
        return document

    @classmethod
    def locked(cls, identifier: str | int, actor: Actor) -> "Document | None":
        """The actor's document, held until the transaction ends; None where it has been deleted by then."""
        document = cls.find(identifier, **own(actor))
        if document is None:
            return None
        document.hold()
        return document if document.deleted_at is None else None

    @classmethod
    def held_by(cls, account_id: int) -> int:
        """How many an account has now."""
        count = select(func.count()).select_from(cls).where(cls.account_id == account_id)
        return db.session.scalar(count.where(cls.deleted_at.is_(None))) or 0

    def hold(self) -> None:
        """Keep others from changing it until the transaction ends."""
        touch = update(Document).where(Document.id == self.id).values(id=Document.id)
        db.session.execute(touch, execution_options={"synchronize_session": False})
        db.session.refresh(self)

    @property
    def head(self) -> "Revision | None":
        return db.session.get(Revision, self.head_id) if self.head_id else None

    @property
    def body(self) -> str:
        head = self.head
        return head.body if head else ""

    @property
    def number(self) -> int:
        """That of the revision it shows; 0 where it is empty."""
        head = self.head
        return head.number if head else 0

    def revisions(self) -> "Sequence[Revision]":
        """Every one, newest first; without their bodies, which may be 400 MB in all."""
        has_words = func.length(Revision.body) > Revision.before_length + Revision.after_length
        light = defer(Revision.body), with_expression(Revision.has_words, has_words)
        own_ones = select(Revision).options(*light).where(Revision.document_id == self.id)
        return db.session.scalars(own_ones.order_by(Revision.number.desc())).all()

    def check_number(self, number: int | None) -> None:
        """Whoever changes it has seen what it is now. Conflict otherwise; None does not say."""
        if number is not None and number != self.number:
            raise Conflict("document_changed", revision=self.number)

    def write(self, body: str, number: int | None) -> None:
        """Save what was typed. One sitting is one revision, which gets a new number each time, until another is
        made of it."""
        self.check_number(number)
        if len(body) > LONGEST_BODY:
            raise InvalidRequest({"content": [f"is longer than {LONGEST_BODY:,} characters; split it up."]})
        head, now = self.head, utcnow()
        if head is not None and body == head.body:
            return
        number = self.next_number()
        if head is None or head.number + 1 < number or not head.is_of_this_sitting(now):
            self.add(body, state="kept", base_number=self.number)
        else:
            if size_of(body) > size_of(head.body):
                check_room(self.account_id, size_of(body) - size_of(head.body))
            head.body, head.number, head.saved_at = body, number, now
        self.updated_at = now

    def add(self, body: str, *, state: str, **columns: object) -> "Revision":
        """A new revision under the next number; the document shows it where it is kept. Conflict: too many."""
        of_this = select(func.count()).select_from(Revision).where(Revision.document_id == self.id)
        if (db.session.scalar(of_this) or 0) >= MOST_REVISIONS:
            raise Conflict("too_many_revisions", context={"most": MOST_REVISIONS})
        check_room(self.account_id, size_of(body))
        revision = Revision(
            account_id=self.account_id,
            document_id=self.id,
            number=self.next_number(),
            body=body,
            state=state,
            saved_at=utcnow(),
            **columns,
        )
        db.session.add(revision)
        db.session.flush()
        if state == "kept" or self.head_id is None:
            self.head_id = revision.id
        return revision

    def next_number(self) -> int:
        newest = select(func.max(Revision.number)).where(Revision.document_id == self.id)
        return (db.session.scalar(newest) or 0) + 1

    def keep(self, revision: "Revision", number: int | None) -> None:
        """Show a proposal, or an earlier revision again.

        A proposal that was made of another text than the one shown now asks for the number of that text.
        """
        self.check_number(revision.base_number if number is None and revision.state == "proposed" else number)
        if revision.status == "running":
            raise Conflict("revision_running")
        if revision.state == "proposed":
            revision.state, revision.number = "kept", self.next_number()
            self.head_id = revision.id
        elif revision.id != self.head_id:
            self.add(revision.body, state="kept", base_number=self.number)
        self.updated_at = utcnow()

    def drop(self, revision: "Revision") -> None:
        """Refuse a proposal; what the document shows stays. Of a draft that broke off nothing is left."""
        if revision.status == "running":
            raise Conflict("revision_running")
        if revision.state == "kept":
            raise Conflict("revision_kept")
        revision.state = "dropped"
        if self.head_id == revision.id:
            self.head_id = None
        self.updated_at = utcnow()

    def erase(self) -> None:
        """Every word of it goes; what it cost stays in the usage."""
        erase_documents(Document.id == self.id)


class Revision(Model):
    """A text of a document. A model's are proposed until they are kept or dropped; typed ones are kept.

    `base_number` is the revision that it was made of. The first `before_length` and the last `after_length`
    characters of the body are not the model's: of a refined selection they stand around it.
    """

    __tablename__ = "document_revisions"
    __table_args__ = (
        one_of("state", "proposed", "kept", "dropped"),
        one_of("status", *STATUSES),
        UniqueConstraint("document_id", "number"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    document_id: Mapped[int] = refers_to("documents.id")
    number: Mapped[int]
    body: Mapped[str] = mapped_column(default="")
    state: Mapped[str]
    status: Mapped[str] = mapped_column(default="done")
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    call_id: Mapped[int | None] = refers_to("usages.id", index=True)
    operation: Mapped[str | None]
    base_number: Mapped[int | None]
    before_length: Mapped[int] = mapped_column(default=0)
    after_length: Mapped[int] = mapped_column(default=0)
    saved_at: Mapped[datetime] = mapped_column(default=utcnow)
    checkpoint_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]

    has_words: Mapped[bool | None] = query_expression()
    """Whether a model wrote something of it, where a list was read without bodies."""

    call = relationship("Usage")
    document = relationship("Document")

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    @property
    def is_open(self) -> bool:
        """A proposal that waits to be kept or dropped, with something to be kept."""
        is_waiting = self.state == "proposed" and not self.is_running
        return is_waiting and bool(self.written if self.has_words is None else self.has_words)

    @property
    def written(self) -> str:
        """What a model wrote of it."""
        return self.body[self.before_length : len(self.body) - self.after_length]

    def is_of_this_sitting(self, now: datetime) -> bool:
        return self.call_id is None and self.state == "kept" and self.saved_at > now - SAME_SITTING


def own(actor: Actor) -> dict[str, object]:
    """What a document must be to be the actor's."""
    return {"account_id": actor.account_id, "user_id": actor.user_id, "deleted_at": None}


def size_of(text: str) -> int:
    """In bytes, as the database holds it."""
    return len(text.encode())


def check_room(account_id: int, added: int) -> None:
    """InvalidRequest where the account's documents have no room for so many bytes more."""
    is_postgres = db.engine.dialect.name == "postgresql"
    size = func.octet_length(Revision.body) if is_postgres else func.length(cast(Revision.body, LargeBinary))
    held = select(func.sum(size)).join(Document, Document.id == Revision.document_id)
    used = db.session.scalar(held.where(Document.account_id == account_id)) or 0
    if used + added > ROOM:
        full = f"can't be saved: this account has used its {ROOM // MEGABYTE} MB for documents. Delete one."
        raise InvalidRequest({"content": [full]})


def erase_documents(*which: object) -> None:
    """Erase what is in these documents: titles, revisions, what went wrong with them, images. Receipts stay."""
    documents = select(Document.id).where(*which)  # type: ignore[arg-type]
    db.session.execute(delete(Attachment).where(Attachment.document_id.in_(documents)))
    gone = {"body": "", "error_detail": None, "before_length": 0, "after_length": 0}
    running = Revision.status == "running", Revision.document_id.in_(documents)
    ended = {"status": "interrupted", "stop_requested_at": utcnow()}
    db.session.execute(update(Revision).where(*running).values(**ended))
    db.session.execute(update(Revision).where(Revision.document_id.in_(documents)).values(**gone))
    empty = {"title": "", "kind": "", "deleted_at": utcnow(), "head_id": None}
    db.session.execute(update(Document).where(*which).values(**empty))  # type: ignore[arg-type]
