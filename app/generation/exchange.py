"""The rows of a question and its answer: written with the reservation, in its statement where that is possible."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, Table, and_, bindparam, insert, select, true, update

from app.db.compiled_statement import CompiledStatement, StatementConnection
from app.extensions import db
from app.generation.prompt import PromptTurn
from app.generation.text_checkpoint import MESSAGES as TEXTS
from app.generation.text_checkpoint import KeptText
from app.models.base import utcnow
from app.models.chat.chat import CHATS, Chat, Message, title_of
from app.models.metering.refusal import Conflict
from app.models.metering.reservation import Reservation

MESSAGES: Table = Message.__table__  # type: ignore[assignment]
M = MESSAGES.c
THIS_CHAT = and_(CHATS.c.account_id == bindparam("account"), CHATS.c.id == bindparam("chat"))
NEW = insert(MESSAGES).returning(M.id)
LEAF = select(CHATS.c.leaf_id).where(THIS_CHAT)
WRITE, FOLLOW = CompiledStatement(NEW), CompiledStatement(NEW.values(parent_id=LEAF.scalar_subquery()))
SHOW = CompiledStatement(update(CHATS).where(THIS_CHAT))


@dataclass(frozen=True, slots=True)
class Exchange:
    """The question, where it is new, and its running answer, which the chat then shows: ids of answer and question.

    A question at the chat's end follows what is there by then: of two sent at once neither hides the other.
    `is_by_the_way`: the chat's next question is not asked of this model.
    """

    chat: Chat
    question: PromptTurn
    model: str
    now: datetime
    is_by_the_way: bool = False

    @property
    def shape(self) -> Hashable:
        return "exchange", self.question.id is None, self.follows

    @property
    def follows(self) -> bool:
        return self.question.id is None and self.question.parent_id == self.chat.leaf_id

    @property
    def values(self) -> Mapping[str, Any]:
        rows = {"question": self.asked, "answer": self.answered, "shown": self.shown}
        named = {f"{row}_{name}": value for row, columns in rows.items() for name, value in columns.items()}
        ids = {"question_id": self.question.id, "question_parent_id": self.question.parent_id}
        return named | ids | self.key

    @property
    def key(self) -> dict[str, int]:
        """What finds the chat where its account's rows are: every statement of a message names the account."""
        return {"account": self.chat.account_id, "chat": self.chat.id}

    @property
    def common(self) -> dict[str, Any]:
        own = {"account_id": self.chat.account_id, "chat_id": self.chat.id, "created_at": self.now}
        return own | {"is_refused": False}

    @property
    def asked(self) -> dict[str, Any]:
        own = {"content": self.question.content, "attached_id": self.question.attached_id}
        return self.common | own | {"role": "user", "status": "done"}

    @property
    def answered(self) -> dict[str, Any]:
        own = {"role": "assistant", "status": "running", "content": "", "checkpoint_at": self.now}
        return self.common | own | {"model": self.model}

    @property
    def shown(self) -> dict[str, Any]:
        title = self.chat.title or title_of(self.question.content)
        own = {"title": title, "document_id": self.chat.document_id}
        model = self.chat.model if self.is_by_the_way else self.model
        return {"model": model, "updated_at": self.now, **own}

    def parts(self, call: CTE) -> Sequence[CTE]:
        """As parts of the statement that reserves."""
        question = self._question_part(call) if self.question.id is None else None
        source: Any = call if question is None else call.join(question, true())
        asked = bound("question_", "id")[0] if question is None else question.c.id
        answer = (
            insert(MESSAGES)
            .from_select(
                ["parent_id", "call_id", *self.answered],
                select(asked, call.c.id, *bound("answer_", *self.answered)).select_from(source),
                include_defaults=False,
            )
            .returning(M.id)
            .cte("answer")
        )
        shown = {name: bindparam(f"shown_{name}", type_=CHATS.c[name].type) for name in self.shown}
        show = update(CHATS).where(THIS_CHAT, answer.c.id.is_not(None)).values(leaf_id=answer.c.id, **shown)
        return [answer, *([question] if question is not None else []), show.cte("shown")]

    def _question_part(self, call: CTE) -> CTE:
        """The chat is held from here on, as it is by then."""
        parent, source = bound("question_", "parent_id")[0], call
        if self.follows:
            held = LEAF.where(call.c.id.is_not(None)).with_for_update(of=CHATS)
            source = held.cte("end_of_chat")
            parent = source.c.leaf_id
        new = select(parent, *bound("question_", *self.asked)).select_from(source)
        columns = ["parent_id", *self.asked]
        return insert(MESSAGES).from_select(columns, new, include_defaults=False).returning(M.id).cte("question")

    def kept(self, ids: Sequence[int]) -> KeptText:
        answer_id, question_id = [*ids, self.question.id][:2]
        of_chat = {"chat_id": str(self.chat.id), "message_id": str(answer_id)}
        named = of_chat | {"user_message_id": str(question_id)}
        refused = {"is_refused": True}
        row = TEXTS, self.chat.account_id, int(answer_id or 0), named
        return KeptText(*row, moves=self.chat.guest is not None, when_refused=refused)

    def write(self, connection: StatementConnection, call_id: int) -> Sequence[int]:
        """The same, one after another."""
        question_id = self.question.id or self._write_question(connection)
        answer = self.answered | {"parent_id": question_id, "call_id": call_id}
        [answer_id] = WRITE.one(connection, answer)
        SHOW.run(connection, self.key | self.shown | {"leaf_id": answer_id})
        return answer_id, question_id

    def _write_question(self, connection: StatementConnection) -> int:
        if self.follows:
            [question_id] = FOLLOW.one(connection, self.asked | self.key)
        else:
            [question_id] = WRITE.one(connection, self.asked | {"parent_id": self.question.parent_id})
        return int(question_id)


def write_on(message: Message, reservation: Reservation) -> KeptText:
    """Have a whole answer be written on by another call. Conflict where one does so already."""
    begun = {"status": "running", "call_id": reservation.usage_id, "checkpoint_at": utcnow()}
    over = {"stop_requested_at": None, "error_code": None, "error_detail": None}
    of_this = M.id == message.id, M.call_id == message.call_id, M.status != "running"
    written = db.session.execute(update(MESSAGES).where(*of_this).values(**begun, **over))
    if written.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("cannot_go_on", case="running")
    ids = {"chat_id": message.chat_id, "message_id": message.id, "user_message_id": message.parent_id}
    named = {name: str(identifier) for name, identifier in ids.items()}
    row, moves = (TEXTS, message.account_id, message.id, named), message.chat.guest is not None
    return KeptText(*row, before=message.content, is_continued=True, moves=moves)


def bound(prefix: str, *names: str) -> list[Any]:
    """Parameters with the types of a message's columns."""
    return [bindparam(f"{prefix}{name}", type_=M[name].type) for name in names]
