"""A chat with its messages and the model to answer, read in one statement or piece by piece."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, func, select

from app.db.compiled_statement import CompiledStatement
from app.db.json_aggregates import JsonRows
from app.generation.exchange import M
from app.generation.prompt import PromptTurn
from app.models.base import at_once, row_id, utcnow
from app.models.catalog.ai_model import MAY_HOLD, MODELS, PRICES, PROVIDERS, AIModel
from app.models.catalog.price import ModelPrice
from app.models.chat.chat import CHATS, IS_OWN, Chat
from app.models.metering.usage import Usage


@dataclass(slots=True)
class Conversation:
    """`messages` are the messages of all branches; `offered` the rows of the model that was named, None: not read yet.

    `is_first_request`: nothing was begun under this idempotency key, as far as this read shows.
    """

    chat: Chat
    messages: list[PromptTurn] | None = None
    offered: list[Any] | None = None
    model: str | None = None
    is_first_request: bool = False

    @classmethod
    def read(cls, chat_id: str, *, model: str | None, idempotency_key: str | None, **own: Any) -> "Conversation | None":
        """All that a question needs; None where there is no such chat. `own` says whose chats: `Actor.owns`."""
        asked = {"chat": row_id(chat_id), "name": model, "key": idempotency_key, "at": utcnow()}
        with at_once() as connection:
            rows = WHOLE.all(connection, asked | own)
        if not rows:
            return None
        chat, said, earlier = Chat.apart(rows[0][:SAID_AT]), rows[0][SAID_AT], rows[0][EARLIER_AT]
        messages = [PromptTurn(*row) for row in sorted(said or [])]
        offered = [row[OFFER_AT:] for row in rows]
        return cls(chat, messages, offered, model or chat.model, is_first_request=earlier is None)

    def all_messages(self) -> list[PromptTurn]:
        if self.messages is None:
            key = {"account": self.chat.account_id, "chat": self.chat.id}
            with at_once() as connection:
                self.messages = [PromptTurn(*row) for row in OF_CHAT.all(connection, key)]
        return self.messages

    def offer(self, name: str, at: datetime) -> tuple[AIModel, ModelPrice]:
        """The model of that name and its price. Refusal where it is not for sale."""
        is_read = self.offered is not None and name == self.model and self.offered[0][0] is not None
        return AIModel.offer_of(self.offered or [], name, at) if is_read else AIModel.to_sell(name, at)


SAID = (M.id, M.parent_id, M.role, M.content, M.attached_id, M.is_refused)
OF_CHAT = CompiledStatement(
    select(*SAID).where(M.account_id == bindparam("account"), M.chat_id == bindparam("chat")).order_by(M.id)
)
U = Usage.__table__.c
ALL_SAID = (
    select(JsonRows(*SAID))
    .where(M.account_id == bindparam("account_id"), M.chat_id == CHATS.c.id)
    .correlate(CHATS)
    .scalar_subquery()
)
EARLIER = (
    select(U.id).where(U.account_id == bindparam("account_id"), U.idempotency_key == bindparam("key")).scalar_subquery()
)
ONCE = case((func.row_number().over() == 1, ALL_SAID), else_=None)
"""A model with several prices has several rows: the first alone brings what was said."""

SAID_AT = len(CHATS.c)
EARLIER_AT, OFFER_AT = SAID_AT + 1, SAID_AT + 2
ASKED = MODELS.c.name == func.coalesce(bindparam("name", type_=MODELS.c.name.type), CHATS.c.model)
WHOLE = CompiledStatement(
    select(*CHATS.c, ONCE, EARLIER, *MODELS.c, *PROVIDERS.c, *PRICES.c)
    .select_from(
        CHATS.outerjoin(MODELS, ASKED)
        .outerjoin(PROVIDERS, PROVIDERS.c.id == MODELS.c.provider_id)
        .outerjoin(PRICES, MAY_HOLD)
    )
    .where(IS_OWN)
)
