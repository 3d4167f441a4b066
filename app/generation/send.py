"""Sends a question, a second answer or an edit: each is a metered call with its messages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from app.extensions import db
from app.generation.call import CallOptions, Context, earlier, most_output, start
from app.generation.conversation import Conversation
from app.generation.exchange import Exchange, write_on
from app.generation.generation import Generation
from app.generation.prompt import PromptTurn, alternating, messages_for
from app.generation.text_checkpoint import KeptText
from app.jobs import JobName
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.operation import Operation
from app.models.catalog.price import ModelPrice
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment, send_with
from app.models.chat.chat import Chat, Message, branch
from app.models.documents.document import Document
from app.models.identity.actor import Actor
from app.models.metering.budget import ChatBudget
from app.models.metering.refusal import Conflict, InvalidRequest
from app.models.metering.reservation import Reservation
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage

CACHE_LASTS = timedelta(minutes=5)
"""How long Anthropic caches a prompt after it was last read."""

GO_ON = (
    "Your answer was cut off. Go on from exactly where it stops, in the middle of a word if need be. "
    "Begin with a space where one belongs. Repeat nothing, and say nothing about this."
)


ALONE_TOO_LONG = "is longer than this model can read. Choose another model, or change it in the chat's settings."


def repeated(actor: Actor, options: CallOptions) -> Message | None:
    """The answer that this idempotency key began before. Conflict where the request differs."""
    usage = earlier(actor, options)
    if usage is None:
        return None
    last = Usage.last_of(usage.id)
    return db.session.query(Message).filter_by(call_id=last, role="assistant").one()


def ask(
    actor: Actor, into: Conversation, content: str, options: CallOptions, *, edited: Message | None = None
) -> Generation:
    """Put a question at the chat's end, or beside the one that it is an edit of, and start its answer."""
    if len(content.encode("utf-8", "surrogatepass")) > Setting.get("max_message_bytes"):
        raise InvalidRequest({"content": ["is longer than one message can be. Split it up."]})
    return answer(actor, into, path_with(actor, into, content, options, edited), options)


def path_with(
    actor: Actor, into: Conversation, content: str, options: CallOptions, edited: Message | None
) -> list[PromptTurn]:
    """The conversation up to a question and with it, in the place of the one that it is an edit of."""
    parent_id = edited.parent_id if edited else into.chat.leaf_id
    history = branch(into.all_messages(), parent_id) if parent_id else []
    waiting = Attachment.unsent(actor, options.files) if options.files else ()
    attached_id = edited.attached_id if edited else None
    return [*history, PromptTurn(None, parent_id, "user", content, attached_id, files=tuple(waiting))]


def answer(actor: Actor, into: Conversation, path: list[PromptTurn], options: CallOptions) -> Generation:
    """Answer the last message of the path, which is the user's."""
    chat, offer = into.chat, into.offer(options.model, utcnow())
    prompt = prompt_of(chat, path, offer[0], options)
    title = (JobName.WRITE_TITLE, chat.id) if chat.wants_title else None
    exchange = Exchange(chat, path[-1], options.model, utcnow())
    columns = {"chat_id": chat.id, "document_id": chat.document_id}
    if exchange.question.files:
        context = Context(
            columns, store=partial(store_with_files, exchange), follow_up=title, budget=ChatBudget.of(chat)
        )
    else:
        context = Context(columns, rows=exchange, follow_up=title, budget=ChatBudget.of(chat))
    return start(actor, "chat", prompt, offer, options=options, context=context)


def go_on(actor: Actor, into: Conversation, message: Message, options: CallOptions) -> Generation:
    """Go on with the chat's last answer, where its limit cut it off: the rest is written behind it."""
    if not message.can_go_on or into.chat.leaf_id != message.id:
        raise Conflict("cannot_go_on")
    chat, offer = into.chat, into.offer(options.model, utcnow())
    prompt = prompt_of(chat, path_on(into, message), offer[0], options)
    columns = {"chat_id": chat.id, "document_id": chat.document_id, "continues_id": message.call_id}
    context = Context(columns, store=partial(write_on, message), budget=ChatBudget.of(chat))
    return start(actor, "chat", prompt, offer, options=options, context=context)


def path_on(into: Conversation, message: Message) -> list[PromptTurn]:
    """The conversation to that answer, and that it is to go on."""
    said = branch(into.all_messages(), message.id)
    return [*said, PromptTurn(None, message.id, "user", GO_ON)]


def estimate(
    actor: Actor, chat: Chat, content: str, options: CallOptions, *, edited: Message | None = None
) -> tuple[Prompt, ModelPrice]:
    """The prompt that a question or an edit would send, and the price it would have. Reserves nothing."""
    return priced(chat, path_with(actor, Conversation(chat), content, options, edited), options)


def estimate_again(chat: Chat, message: Message, options: CallOptions) -> tuple[Prompt, ModelPrice]:
    """The same of another answer in the place of this one."""
    return priced(chat, branch(Conversation(chat).all_messages(), message.parent_id), options)


def estimate_on(chat: Chat, message: Message, options: CallOptions) -> tuple[Prompt, ModelPrice]:
    """The same of the rest of this answer."""
    return priced(chat, path_on(Conversation(chat), message), options)


def priced(chat: Chat, path: list[PromptTurn], options: CallOptions) -> tuple[Prompt, ModelPrice]:
    model, price = AIModel.to_sell(options.model, utcnow())
    return prompt_of(chat, path, model, options, is_sent=False), price


def prompt_of(
    chat: Chat | None, path: list[PromptTurn], model: AIModel, options: CallOptions, *, is_sent: bool = True
) -> Prompt:
    """As much of the conversation, newest first, as fits the model's window beside the output.

    What fits is a count with a margin, made only where the bound doesn't fit; after a refusal it is the bound.
    """
    asked = options.max_output_tokens or (chat.max_output_tokens if chat else None)
    limited = replace(options, max_output_tokens=asked)
    most = min(most_output(Operation.named("chat"), limited), model.most_output)
    system = "\n\n".join(filter(None, [chat.system_prompt, document_of(chat)])) if chat else ""
    fixed = [PromptMessage("system", system)] if system else []
    said = messages_for(path, model, with_content=is_sent)
    extra = model.extra_input_tokens or 0
    room = model.input_limit(most) - extra
    fits_surely = sum(map(bound_of, [*fixed, *said])) <= room
    size = bound_of if fits_surely or any(turn.is_refused for turn in path) else likely_of
    left = room - sum(map(size, fixed))
    if chat and fixed and left < 0:
        raise InvalidRequest({"document_id" if chat.document_id else "system_prompt": [ALONE_TOO_LONG]})
    kept = newest_within(left, said, size)
    told, left_out = (*fixed, *alternating(kept)), len(said) - len(kept)
    wants_cache = chat is not None and not left_out and goes_on(chat, path)
    return Prompt(options.model, told, most, model.is_reasoning, extra, left_out, wants_cache=wants_cache)


def goes_on(chat: Chat, path: list[PromptTurn]) -> bool:
    """Whether the chat's last question is so young that its prompt would still be cached, had it been marked."""
    return len(path) > 1 and utcnow() - chat.updated_at < CACHE_LASTS and bool(Setting.get("prompt_caching"))


def document_of(chat: Chat) -> str:
    """The document that the chat is about, as the model reads it; nothing where there is none."""
    if chat.document_id is None:
        return ""
    document = Document.find(chat.document_id, account_id=chat.account_id, deleted_at=None)
    return f"The user works on this document:\n<document>\n{document.body}\n</document>" if document else ""


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
        raise InvalidRequest({"content": ["is longer than this model can read. Shorten it or choose another model."]})
    while kept[-1].role != "user":
        kept.pop()
    return kept[::-1]


def likely_of(message: PromptMessage) -> int:
    return message.likely_tokens


def bound_of(message: PromptMessage) -> int:
    return message.token_bound


def store_with_files(exchange: Exchange, reservation: Reservation) -> KeptText:
    """Write the exchange, and tie the files that go with its question."""
    ids = exchange.write(db.session.connection(), reservation.usage_id)
    send_with([file.id for file in exchange.question.files], ids[1])
    return exchange.kept(ids)
