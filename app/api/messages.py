"""Messages over JSON: ask, answer again, edit, stop, follow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from flask import Response, abort, g
from flask_login import current_user
from pydantic import Field
from sqlalchemy.exc import IntegrityError

from app.api.blueprint import api, or_404
from app.api.bodies import FileIds, Filled, Identifier
from app.api.calls import ONCE, STREAM, Limits, call_options, stream_position, wants_html
from app.api.chats import default_model
from app.api.event_stream import stream_of, stream_of_generation
from app.api.rate_limits import limited_sends
from app.api.schemas import EVENTS, TEXT, described, shape
from app.extensions import db
from app.generation import registry
from app.generation.call import CallOptions
from app.generation.conversation import Conversation
from app.generation.generation import Generation
from app.generation.send import answer, ask, go_on, repeated
from app.generation.text_checkpoint import MESSAGES
from app.models.base import utcnow
from app.models.chat.attachment import MOST_OF_A_MESSAGE
from app.models.chat.chat import STATUSES, Chat, Message, branch
from app.models.metering.refusal import Conflict, InvalidRequest
from app.web.access import for_guests_too, own_chat, own_document
from app.web.gate import requires_tokens

Files = Annotated[
    FileIds,
    Field(
        max_length=MOST_OF_A_MESSAGE,
        description="Ids of files from `POST /api/attachments` to send with this message.",
    ),
]


class AnotherAnswer(Limits):
    """The same question again."""


class Edit(Limits):
    content: Filled


class Question(Edit):
    attachments: Files = Field(default_factory=list)
    document_id: Annotated[Identifier, Field(description="A document that this chat is about from now on.")] | None = (
        None
    )


STATE = shape("MessageState", id=TEXT, status={"enum": [*STATUSES]})


@api.post("/chats/<chat_id>/messages")
@for_guests_too
@limited_sends
@requires_tokens
@described(
    "Send a message and stream the answer",
    STREAM,
    body=Question,
    headers=ONCE,
    kind=EVENTS,
)
def send_message(chat_id: str) -> Response:
    try:
        sent = Question.read()
    except InvalidRequest:
        or_404(Chat.to_ask(chat_id, **current_user.owns))
        raise
    return asked(conversation_of(chat_id, sent), sent)


@api.post("/messages/<message_id>/regenerate")
@for_guests_too
@limited_sends
@requires_tokens
@described("Answer the same message again", STREAM, body=AnotherAnswer, headers=ONCE, kind=EVENTS)
def regenerate(message_id: str) -> Response:
    message = my_message(message_id, role="assistant")
    into = Conversation(own_chat(message.chat_id))
    options = call_options(AnotherAnswer.read(), message.model or into.chat.model or default_model())

    def again() -> Generation:
        return answer(current_user, into, branch(into.all_messages(), message.parent_id), options)

    return begin_once(options, again)


@api.post("/messages/<message_id>/continue")
@for_guests_too
@limited_sends
@requires_tokens
@described(
    "Continue the chat's last answer if its limit cut it off; `delta`s hold the new text",
    STREAM,
    body=AnotherAnswer,
    headers=ONCE,
    kind=EVENTS,
)
def go_on_with_message(message_id: str) -> Response:
    message = my_message(message_id, role="assistant")
    into = Conversation(own_chat(message.chat_id))
    options = call_options(AnotherAnswer.read(), message.model or into.chat.model or default_model())
    try:
        return begin_once(options, lambda: go_on(current_user, into, message, options))
    except IntegrityError as error:
        raise Conflict("cannot_go_on", case="running") from error


@api.put("/messages/<message_id>")
@for_guests_too
@limited_sends
@requires_tokens
@described(
    "Edit a message and send it again with its files",
    STREAM,
    body=Edit,
    headers=ONCE,
    kind=EVENTS,
)
def edit_message(message_id: str) -> Response:
    message = my_message(message_id, role="user")
    return asked(Conversation(own_chat(message.chat_id)), Edit.read(), edited=message)


@api.post("/messages/<message_id>/stop")
@for_guests_too
@described("Stop a running answer", STATE)
def stop_message(message_id: str) -> dict[str, Any]:
    """Ask a running answer to end; it does within a second or so, wherever it runs."""
    message = my_message(message_id, role="assistant")
    if message.is_running:
        message.stop_requested_at = message.stop_requested_at or utcnow()
        db.session.commit()
        registry.live.stop(message.call_id)
    return {"id": str(message.id), "status": message.status}


@api.get("/messages/<message_id>/stream")
@for_guests_too
@described("Follow an answer, from `Last-Event-ID` on", STREAM, headers={"Last-Event-ID": TEXT}, kind=EVENTS)
def follow_message(message_id: str) -> Response:
    message = my_message(message_id, role="assistant")
    return followed(message, stream_position())


def conversation_of(chat_id: str, sent: Limits) -> Conversation:
    """The chat with all that a question needs, or 404."""
    asked = {"model": sent.model, "idempotency_key": call_options(sent).idempotency_key}
    return Conversation.read(chat_id, **asked, **current_user.owns) or abort(404)


def asked(into: Conversation, sent: Edit, *, edited: Message | None = None) -> Response:
    """Put the body's question at the chat's end, or in the place of an earlier one, and follow its answer."""
    options = with_files(sent, call_options(sent, into.chat.model or default_model()))
    if isinstance(sent, Question) and sent.document_id:
        into.chat.document_id = own_document(sent.document_id).id

    def begin() -> Generation:
        return ask(current_user, into, sent.content, options, edited=edited)

    return begin_once(options, begin, is_first=into.is_first_request)


def with_files(sent: Limits, options: CallOptions) -> CallOptions:
    """The files that go with a question; an edit keeps those that it had."""
    files = getattr(sent, "attachments", ())
    return replace(options, files=tuple(dict.fromkeys(map(int, files))))


def begin_once(options: CallOptions, begin: Callable[[], Generation], *, is_first: bool = False) -> Response:
    """Follow the answer that this Idempotency-Key began before, else the one that begins now.

    `is_first`: nothing was begun under the key when the request was read. If something is by now, the database says so.
    """
    earlier = None if is_first else repeated(current_user, options)
    if earlier:
        return followed(earlier)
    try:
        generation = begin()
    except IntegrityError:
        db.session.rollback()
        earlier = repeated(current_user, options)
        if earlier is None:
            raise
        registry.give_place_back()
        return followed(earlier)
    g.available_nanos = generation.reservation.available
    return stream_of_generation(generation, as_html=wants_html())


def followed(message: Message, position: int = 0) -> Response:
    ids = {
        "chat_id": str(message.chat_id),
        "message_id": str(message.id),
        "user_message_id": str(message.parent_id),
    }
    return stream_of(MESSAGES, message, ids, position, as_html=wants_html())


def my_message(message_id: str, **role: str) -> Message:
    message = or_404(Message.find(message_id, account_id=current_user.account_id, **role))
    own_chat(message.chat_id)
    return message
