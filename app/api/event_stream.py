"""The event stream: a running or finished answer as server-sent events, from any web process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, current_app, g
from sqlalchemy import select

from app.extensions import db
from app.generation import registry
from app.generation.generation import PING_SECONDS, Generation, Outcome
from app.models.base import credits_string, utcnow
from app.models.chat.chat import Message
from app.models.metering.account_state import AccountState
from app.web.markdown import StreamRenderer

POLL_SECONDS = 0.3
PING = ": still here\n\n"


def event(name: str, body: dict[str, Any], position: int) -> str:
    """One event; its id is the number of characters of the answer sent so far."""
    return f"id: {position}\nevent: {name}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n"


def amount(name: str, nanos: int) -> dict[str, Any]:
    return {f"{name}_nanos": nanos, f"{name}_credits": credits_string(nanos)}


def stream_of_generation(generation: Generation, *, as_html: bool = False) -> Response:
    """Follow an answer that has just begun here."""
    reservation = generation.reservation
    numbers = (generation.message_id, generation.question_id, reservation.usage_id)
    start = started(numbers, reservation.prompt.model, reservation.ceiling)
    return streaming(written(start, from_turn(generation), 0, as_html=as_html))


def stream_of(message: Message, position: int = 0, *, as_html: bool = False) -> Response:
    """Follow an answer from that character on: from its turn where it runs here, else from its row."""
    registry.live.take_place()
    numbers = (message.id, message.parent_id, message.call_id)
    start = started(numbers, message.model, message.call.reserved_nanos)
    live = registry.live.get(message.id)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    source = from_turn(live) if live else from_row(app, message.id)
    db.session.rollback()
    return streaming(written(start, source, position, as_html=as_html))


def started(numbers: tuple[int | None, ...], model: str | None, ceiling: int) -> dict[str, Any]:
    """The body of the first event."""
    message, question, call = (str(number) for number in numbers)
    named = {"message_id": message, "user_message_id": question, "call_id": call, "model": model}
    return named | amount("ceiling", ceiling)


def streaming(events: Iterator[str]) -> Response:
    """The answer that carries the events; it keeps the request's place until it is closed, read or not."""
    g.pop("has_place")
    response = Response(events, content_type="text/event-stream; charset=utf-8")
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.call_on_close(registry.live.reader_left)
    return response


def written(
    start: dict[str, Any], source: Iterator[str | dict[str, Any] | None], skip: int, *, as_html: bool
) -> Iterator[str]:
    """The source as events: text past the first `skip` characters as deltas, None as a comment, a dict as the last."""
    renderer, position = StreamRenderer() if as_html else None, 0
    yield event("start", start, skip)
    for piece in source:
        if piece is None:
            yield PING
        elif isinstance(piece, str):
            fresh = piece[max(0, skip - position) :]
            position += len(piece)
            if fresh:
                yield event("delta", {"text": fresh}, position)
            yield from blocks(renderer.feed(piece) if renderer else [], position)
        else:
            yield from blocks(renderer.finish() if renderer else [], position)
            name = piece.pop("event")
            yield event(name, piece, position)


def blocks(changed: list[tuple[int, str]], position: int) -> Iterator[str]:
    for index, html in changed:
        yield event("block", {"index": index, "html": html}, position)


def from_turn(generation: Generation) -> Iterator[str | dict[str, Any] | None]:
    yield from generation.follow()
    with generation.app.app_context():
        yield last_event(generation.message_id, generation.ending)


def from_row(app: Flask, message_id: int) -> Iterator[str | dict[str, Any] | None]:
    """Follow the checkpoints of an answer that another process writes, or that is finished.

    A process that is to go breaks off at once: the reader comes back, to another one.
    """
    position, quiet_since = 0, time.monotonic()
    while not registry.live.is_ending:
        with app.app_context():
            row = db.session.execute(
                select(Message.content, Message.status).where(Message.id == message_id)
            ).one()
        if len(row.content) > position:
            yield row.content[position:]
            position, quiet_since = len(row.content), time.monotonic()
        if row.status != "running":
            yield ended_row(app, message_id)
            return
        if time.monotonic() - quiet_since > PING_SECONDS:
            yield None
            quiet_since = time.monotonic()
        time.sleep(POLL_SECONDS)


def ended_row(app: Flask, message_id: int) -> dict[str, Any]:
    with app.app_context():
        return last_event(message_id, None)


def last_event(message_id: int, ending: Outcome | None) -> dict[str, Any]:
    """`done` with what it cost, or `error` with why; from the turn where it is known, else from the rows."""
    if ending is not None and ending.receipt is not None:
        receipt = ending.receipt
        usage = receipt.usage
        figures = (
            receipt.usage_id,
            receipt.paid,
            usage.input_tokens,
            usage.output,
            usage.source,
            receipt.available,
        )
        return ended(message_id, ending.status, ending.code, ending.detail, figures)
    message = db.session.get_one(Message, message_id)
    call = message.call
    available = AccountState.load(message.account_id).balance(utcnow()).available
    figures = (call.id, call.paid_nanos, call.input_tokens, call.output, call.source, available)
    return ended(message_id, message.status, message.error_code, message.error_detail, figures)


def ended(
    message_id: int, status: str, code: str | None, detail: str | None, figures: tuple[Any, ...]
) -> dict[str, Any]:
    call_id, paid, input_tokens, output_tokens, source, available = figures
    body = {"message_id": str(message_id), "call_id": str(call_id), **amount("cost", paid)}
    body |= amount("available", available)
    tokens = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "estimated": source == "estimated",
    }
    if status == "done":
        return {"event": "done", **body, **tokens}
    return {"event": "error", "code": code or status, "detail": detail or "", **body, **tokens}
