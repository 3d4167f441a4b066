"""What a chat asks: a question, a second answer, an edited question. Each is a metered call with its messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Table, and_, bindparam, insert, select, update

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.generation.call import CallOptions, Context, earlier, most_output, start
from app.generation.generation import Generation
from app.generation.kept_text import MESSAGES as MESSAGES_TABLE
from app.generation.kept_text import KeptText
from app.generation.prompt import PromptTurn, alternating, messages_for
from app.jobs import JobName
from app.models.base import utcnow
from app.models.catalog.operation import Operation
from app.models.catalog.price import AIModel, ModelPrice
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment, send_with
from app.models.chat.chat import CHATS, Chat, Message, branch
from app.models.identity.actor import Actor
from app.models.metering.refusal import InvalidRequest
from app.models.metering.reservation import Reservation
from app.providers.base import Prompt, PromptMessage

TITLE_LENGTH = 60
MESSAGES: Table = Message.__table__  # type: ignore[assignment]
SAID = (
    MESSAGES.c.id,
    MESSAGES.c.parent_id,
    MESSAGES.c.role,
    MESSAGES.c.content,
    MESSAGES.c.attached_id,
    MESSAGES.c.is_refused,
)
IN_CHAT = and_(MESSAGES.c.account_id == bindparam("account"), MESSAGES.c.chat_id == bindparam("chat"))
OF_CHAT = CompiledStatement(select(*SAID).where(IN_CHAT).order_by(MESSAGES.c.id))
NEW = insert(MESSAGES).returning(MESSAGES.c.id)
WRITE = CompiledStatement(NEW)
THIS_CHAT = and_(CHATS.c.account_id == bindparam("account"), CHATS.c.id == bindparam("chat"))
LEAF = select(CHATS.c.leaf_id).where(THIS_CHAT).scalar_subquery()
FOLLOW = CompiledStatement(NEW.values(parent_id=LEAF))
SHOW = CompiledStatement(update(CHATS).where(THIS_CHAT))


def repeated(actor: Actor, options: CallOptions) -> Message | None:
    """The answer that this idempotency key began before. Conflict where the request differs."""
    usage = earlier(actor, options)
    if usage is None:
        return None
    return db.session.query(Message).filter_by(call_id=usage.id, role="assistant").one()


def ask(
    actor: Actor, chat: Chat, content: str, options: CallOptions, *, edited: Message | None = None
) -> Generation:
    """Put a question at the chat's end, or beside the one that it is an edit of, and start its answer."""
    if len(content.encode("utf-8", "surrogatepass")) > Setting.get("max_message_bytes"):
        raise InvalidRequest({"content": ["is longer than one message may be; split it up."]})
    parent_id = edited.parent_id if edited else chat.leaf_id
    history = branch(messages_of(chat), parent_id) if parent_id else []
    waiting = Attachment.unsent(actor, options.files) if options.files else ()
    attached_id = edited.attached_id if edited else None
    question = PromptTurn(None, parent_id, "user", content, attached_id, files=tuple(waiting))
    return answer(actor, chat, [*history, question], options)


def answer(actor: Actor, chat: Chat, path: list[PromptTurn], options: CallOptions) -> Generation:
    """Answer the last message of the path, which is the user's."""
    offer = AIModel.to_sell(options.model, utcnow())
    prompt = prompt_of(chat, path, offer[0], options)
    title = (JobName.WRITE_TITLE, chat.id) if chat.wants_title else None
    context = Context({"chat_id": chat.id}, partial(store, chat, path[-1]), title)
    return start(actor, "chat", prompt, offer, options=options, context=context)


def estimate(
    actor: Actor, chat: Chat | None, content: str, options: CallOptions
) -> tuple[Prompt, ModelPrice]:
    """The prompt that a question would send, and the price it would have. Reserves nothing."""
    model, price = AIModel.to_sell(options.model, utcnow())
    history = branch(messages_of(chat), chat.leaf_id) if chat and chat.leaf_id else []
    waiting = Attachment.unsent(actor, options.files) if options.files else ()
    path = [*history, PromptTurn(None, None, "user", content, files=tuple(waiting))]
    return prompt_of(chat, path, model, options, is_sent=False), price


def prompt_of(
    chat: Chat | None, path: list[PromptTurn], model: AIModel, options: CallOptions, *, is_sent: bool = True
) -> Prompt:
    """As much of the conversation, newest first, as fits the model's window beside the output.

    What fits is a count with a margin; in a chat where something was refused it is the bound.
    """
    asked = options.max_output_tokens or (chat.max_output_tokens if chat else None)
    limited = replace(options, max_output_tokens=asked)
    most = min(most_output(Operation.named("chat"), limited), model.most_output)
    system = chat.system_prompt if chat else ""
    fixed = [PromptMessage("system", system)] if system else []
    size = bound_of if any(turn.is_refused for turn in path) else likely_of
    said = messages_for(path, model, with_content=is_sent)
    extra = model.extra_input_tokens or 0
    kept = newest_within(model.input_limit(most) - extra - sum(map(size, fixed)), said, size)
    left_out = len(said) - len(kept)
    return Prompt(options.model, (*fixed, *alternating(kept)), most, model.is_reasoning, extra, left_out)


def newest_within(
    room: int, messages: list[PromptMessage], size: Callable[[PromptMessage], int]
) -> list[PromptMessage]:
    """The last messages that fit into `room`, the first of them the user's. InvalidRequest where not even the last."""
    kept: list[PromptMessage] = []
    for message in reversed(messages):
        room -= size(message)
        if room < 0:
            break
        kept.append(message)
    if not kept:
        raise InvalidRequest(
            {"content": ["is longer than this model can read; shorten it or take another model."]}
        )
    while kept[-1].role != "user":
        kept.pop()
    return kept[::-1]


def likely_of(message: PromptMessage) -> int:
    return message.likely_tokens


def bound_of(message: PromptMessage) -> int:
    return message.token_bound


def store(chat: Chat, question: PromptTurn, reservation: Reservation) -> KeptText:
    """Write the question, where it is new, and its running answer, which the chat then shows and which keeps the text.

    Prepared, not ORM, as all that is on the path of a message.
    """
    connection, now = db.session.connection(), utcnow()
    common = {"account_id": chat.account_id, "chat_id": chat.id, "created_at": now}
    question_id = question.id or written(chat, question, common)
    if question.files:
        send_with([file.id for file in question.files], question_id)
    running = {"parent_id": question_id, "role": "assistant", "status": "running", "checkpoint_at": now}
    model = {"call_id": reservation.usage_id, "model": reservation.prompt.model}
    [message_id] = WRITE.one(connection, common | running | model)
    title = chat.title or title_of(question.content)
    shown = {"leaf_id": message_id, "model": reservation.prompt.model, "updated_at": now, "title": title}
    SHOW.run(connection, key_of(chat) | shown)
    ids = {"chat_id": str(chat.id), "message_id": str(message_id), "user_message_id": str(question_id)}
    return KeptText(MESSAGES_TABLE, chat.account_id, message_id, ids, when_refused={"is_refused": True})


def written(chat: Chat, question: PromptTurn, common: dict[str, Any]) -> int:
    """The id of the new question. One at the chat's end follows what is there by now: of two sent at once neither
    hides the other."""
    connection = db.session.connection()
    message = {"role": "user", "content": question.content, "attached_id": question.attached_id}
    if question.parent_id == chat.leaf_id:
        [question_id] = FOLLOW.one(connection, common | message | key_of(chat))
    else:
        [question_id] = WRITE.one(connection, common | message | {"parent_id": question.parent_id})
    return int(question_id)


def key_of(chat: Chat) -> dict[str, int]:
    """What finds a chat where its account's rows are: every statement of a message names the account."""
    return {"account": chat.account_id, "chat": chat.id}


def messages_of(chat: Chat) -> list[PromptTurn]:
    """Every message of the chat, all branches."""
    return [PromptTurn(*row) for row in OF_CHAT.all(db.session.connection(), key_of(chat))]


def title_of(content: str) -> str:
    """The first words of the first question."""
    line = " ".join(content.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"
