"""The calls: one gate and one reservation for each, whatever the dialect; the answer goes back in that dialect."""

import logging
from collections.abc import Iterable, Iterator
from functools import cached_property

from flask import Response, g, jsonify, request
from flask_login import current_user

from app.api.calls import fingerprint, request_key
from app.api.event_stream import EventStream, json_of
from app.gateway.anthropic_messages import MessagesWriter, unfolded, whole_message
from app.gateway.blueprint import gateway, json_object, sends
from app.gateway.chat_from_message_events import ChatFromMessageEvents
from app.gateway.errors import TOO_LONG, PromptTooLong, anthropic_error, dialect_error, openai_error
from app.gateway.message_events_from_chat import MessageEventsFromChat
from app.gateway.message_events_from_response import MessageEventsFromResponse
from app.gateway.openai_chat import ChatWriter, whole_completion
from app.gateway.openai_responses import ResponsesWriter, whole_response
from app.gateway.prompts import GatewayRequest
from app.gateway.reported_usage import Event, Settled
from app.gateway.sound_chunks import SoundChunks
from app.generation.provider_reader import Follower
from app.generation.wire_call import WireGeneration, begin
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.metering.refusal import InvalidRequest
from app.providers.base import ProviderError
from app.web.gate import requires_tokens

log = logging.getLogger(__name__)
FIRST_EVENT_SECONDS = 15.0
"""How long the head of a stream waits for its first event, so that a provider's failure has a status of its own."""

BROKE_OFF = "The answer was cut off on our side. Nothing was charged."
UNREAD = "The provider's answer could not be read."
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, IndexError)
"""What a writer raises where the answer is of another form than it can be."""

WHOLE = {"chat": whole_completion, "messages": whole_message, "responses": whole_response}


@gateway.post("/chat/completions")
@sends
@requires_tokens
def create_chat_completion() -> Response:
    return answered("chat")


@gateway.post("/responses")
@sends
@requires_tokens
def create_response() -> Response:
    return answered("responses")


@gateway.get("/responses")
@requires_tokens
def refuse_sockets() -> Response:
    """Clients that would rather have a WebSocket (Codex) go over to HTTP at this status, and at no other."""
    return dialect_error(426, "invalid_request", "Responses are sent by POST here, as an event stream.", {})


@gateway.post("/messages")
@sends
@requires_tokens
def create_message() -> Response:
    return answered("messages")


@gateway.post("/responses/compact")
@sends
@requires_tokens
def compact_response() -> Response:
    """A response whose input ends with the order to compact it: so its output has a limit, and a price."""
    sent = json_object()
    said = sent.get("input")
    items = [{"role": "user", "content": said}] if isinstance(said, str) else said
    if isinstance(items, list):
        sent |= {"input": [*items, {"type": "compaction_trigger"}], "stream": False}
    response = answered("responses", sent)
    told = response.get_json()
    kept = {name: told[name] for name in ("id", "created_at", "output", "usage") if name in told}
    response.set_data(json_of({**kept, "object": "response.compaction"}))
    return response


def answered(dialect: str, sent: Event | None = None) -> Response:
    """Reserve, begin, and follow to the end or as a stream."""
    sent = json_object() if sent is None else sent
    asked = GatewayRequest.read(dialect, sent)
    model, price = AIModel.to_sell(asked.model, utcnow())
    generation = begin(current_user, asked.prompt_for(model), (model, price), idempotency(sent))
    call = GatewayCall(asked, generation)
    g.available_nanos = generation.reservation.available
    response = call.stream() if asked.is_stream else call.whole()
    response.headers["X-Call-Id"] = str(generation.reservation.usage_id)
    response.headers["X-Max-Output-Tokens"] = str(generation.sent.max_output_tokens)
    return response


def idempotency(sent: Event) -> dict[str, str]:
    key = request_key()
    if key is None:
        return {}
    return {
        "idempotency_key": fingerprint("gateway", key),
        "request_hash": fingerprint(request.path, sorted(sent.items())),
    }


class GatewayCall:
    """A call that runs, and how it is told."""

    def __init__(self, asked: GatewayRequest, generation: WireGeneration) -> None:
        self.dialect = asked.dialect
        self.generation = generation
        self._request_id, self._sent = g.request_id, asked.body
        self._wants_usage = asked.wants_usage
        self._chunks, self._events, self._sound = ChatFromMessageEvents(), MessageEventsFromChat(), SoundChunks()
        self._items = MessageEventsFromResponse()

    @cached_property
    def writer(self) -> ChatWriter | MessagesWriter | ResponsesWriter:
        """Names the model that answers: once something came, that is known."""
        model, call_id = self.generation.sent.model, self.generation.reservation.usage_id
        if self.dialect == "messages":
            return MessagesWriter(model, call_id)
        if self.dialect == "responses":
            return ResponsesWriter(model, call_id, self._sent)
        return ChatWriter(model, call_id, wants_usage=self._wants_usage)

    def whole(self) -> Response:
        try:
            told = [shown for events in self.generation.follow_events() for shown in self._told(events)]
            told.extend(self._end())
            return jsonify(WHOLE[self.dialect](told))
        except UNREADABLE as error:
            log.exception("could not tell call %s", self.generation.reservation.usage_id)
            raise ProviderError("provider_error", UNREAD) from error

    def stream(self) -> Response:
        """A stream that has begun is 200; until there is a first event, a failure is an answer with its own status."""
        self.generation.await_event(FIRST_EVENT_SECONDS)
        if self.generation.ending is not None and not self.generation.events:
            settled(self.generation, self._sent)
        stream = EventStream(PING[self.dialect])
        return stream.carrying(self._frames(stream))

    def _frames(self, follower: Follower) -> Iterator[str]:
        try:
            for events in self.generation.follow_events(follower):
                yield "".join(map(self._frame, self._told(events))) if events else PING[self.dialect]
            yield "".join(map(self._frame, self._end()))
        except InvalidRequest as invalid:
            yield "".join(self._failure(invalid.code, str(invalid), 400))
        except ProviderError as error:
            yield "".join(self._failure("provider_error", str(error)))
        except UNREADABLE:
            log.exception("could not tell call %s", self.generation.reservation.usage_id)
            yield "".join(self._failure("provider_error", UNREAD))
        else:
            yield "data: [DONE]\n\n" if self.dialect == "chat" else ""

    def _told(self, events: Iterable[Event]) -> Iterator[Event]:
        """The provider's events in the caller's dialect: of each nothing, one or several."""
        for event in unfolded(events):
            for step in self._steps(event):
                yield from self.writer.feed(step)

    def _end(self) -> Iterator[Event]:
        end = settled(self.generation, self._sent)
        for event in self._events.waited():
            yield from self.writer.feed(event)
        yield from self.writer.close(end)

    def _steps(self, event: Event) -> Iterable[Event]:
        """An event of the provider in the caller's dialect, before its writer."""
        is_chunk = "choices" in event or not isinstance(event.get("type"), str)
        is_responses = str(event.get("type")).startswith("response.")
        event = self._sound.feed(event) if is_chunk else event
        if self.dialect == "messages" and is_chunk:
            return self._events.feed(event)
        if self.dialect == "messages" and is_responses:
            return self._items.feed(event)
        if self.dialect != "messages" and not is_chunk and not is_responses:
            return self._chunks.feed(event)
        return [event]

    def _frame(self, event: Event) -> str:
        name = "" if self.dialect == "chat" else f"event: {event['type']}\n"
        return f"{name}data: {json_of(event)}\n\n"

    def _failure(self, code: str, detail: str, status: int = 502) -> Iterator[str]:
        """An error in mid-stream: a cut alone would raise nothing in either vendor's package."""
        if self.dialect == "messages":
            yield self._frame(anthropic_error(status, code, detail, self._request_id))
            return
        error = openai_error(status, code, detail, {})
        if isinstance(self.writer, ResponsesWriter):
            yield from map(self._frame, self.writer.fail({"code": code, "message": detail}, error))
            return
        yield self._frame(error)


def settled(generation: WireGeneration, sent: Event) -> Settled:
    """What it came to. Raises where it failed, with the field of what was sent where that is known: it is free then."""
    ending, reservation = generation.ending, generation.reservation
    if ending is None or ending.receipt is None or ending.status != "done":
        failure = generation.failure
        if failure is not None and failure.case == "too_long":
            raise PromptTooLong({"input" if "input" in sent else "messages": [TOO_LONG]})
        if failure is not None and failure.is_of_sender:
            field = failure.field if failure.field in sent else "request"
            raise InvalidRequest({field: [str(failure)]})
        raise failure or ProviderError("unavailable", (ending and ending.detail) or BROKE_OFF)
    receipt, reply = ending.receipt, generation.reply
    finish = reply.finish_reason if reply else None
    return Settled(reservation.usage_id, receipt.paid, receipt.usage, finish)


PING = {
    "chat": ": ping\n\n",
    "responses": ": ping\n\n",
    "messages": 'event: ping\ndata: {"type": "ping"}\n\n',
}
