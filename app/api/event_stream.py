"""The event stream: a running or finished answer as server-sent events, from any web process."""

import json
import re
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, g
from flask_login import current_user
from pydantic_core import to_json

from app.api.attachments import shown_attachment
from app.api.blueprint import amount
from app.extensions import db
from app.generation import registry
from app.generation.generation import Generation, Outcome
from app.generation.provider_reader import PING_SECONDS, Follower
from app.generation.text_checkpoint import TextTable
from app.models.base import utcnow
from app.models.chat.attachment import Attachment
from app.models.identity.actor import Actor
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from app.models.metering.account_state import AccountState
from app.models.metering.call_ending import can_go_on, finish_note
from app.models.metering.key_limit import spendable
from app.models.metering.usage import Usage
from app.web.access import is_guest
from app.web.answer_html import AnswerRenderer
from app.web.formatting import fallback_note
from app.web.network_address import network

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

POLL_SECONDS = 0.3
PING = ": still here\n\n"
Look = Callable[[], tuple[str, dict[str, Any] | None]]
"""The text so far, and the last event once there is one."""


def event(name: str, body: dict[str, Any], position: int) -> str:
    """One event; its id is the number of characters of the answer sent so far."""
    return f"id: {position}\nevent: {name}\ndata: {json_of(body)}\n\n"


def json_of(body: dict[str, Any]) -> str:
    """On one line for everybody: Python's `splitlines`, by which its HTTP packages read, knows more ends than others.

    The slow way takes what the quick one refuses: 255 levels, half a character.
    """
    with suppress(ValueError):
        text = to_json(body).decode()
        if not ENDS_OF_LINES.search(text):
            return text
    return json.dumps(body, separators=(",", ":"))


ENDS_OF_LINES = re.compile("[\x85\u2028\u2029]")
"""Those that JSON does not escape by itself."""


def stream_of_generation(generation: Generation, *, as_html: bool = False) -> Response:
    """Follow an answer that has just begun here."""
    reservation = generation.reservation
    prompt = reservation.prompt
    start = started(generation.ids, prompt.model, reservation.ceiling, prompt.left_out)
    known = len(generation.kept.begins_with) if generation.kept else 0
    stream = EventStream()
    return stream.carrying(written(start, from_generation(generation, stream), known, as_html=as_html))


def stream_of_call(call: Usage) -> Response:
    """Follow a call whose text is kept nowhere: from here where it runs here, else until its row says the end."""
    call_id, ids = call.id, {"call_id": str(call.id)}

    def look() -> tuple[str, dict[str, Any] | None]:
        now = db.session.get_one(Usage, call_id)
        return "", None if now.state == "running" else ended_call(now, now.account_id, ids, None)

    return stream_of_other(call, ids, look)


def stream_of(table: TextTable, row: Any, ids: dict[str, str], position: int = 0, *, as_html: bool = False) -> Response:
    """Follow an answer from that character on: from here where it runs here, else from its row of `table`.

    `ids` name it in its events, beside its call.
    """
    row_id, ids = row.id, ids | {"call_id": str(row.call_id)}

    def look() -> tuple[str, dict[str, Any] | None]:
        text, status = table.read(db.session.connection(), row_id)
        is_running = status == "running"
        return text, None if is_running else ended_row(db.session.get_one(table.model, row_id), ids, table)

    return stream_of_other(row.call, ids, look, position, as_html=as_html)


def stream_of_other(
    call: Usage, ids: dict[str, str], look: Look, position: int = 0, *, as_html: bool = False
) -> Response:
    """Follow a call that began in another request."""
    registry.live.follow_as(follower())
    start = started(ids, call.model, call.reserved_nanos, call.left_out)
    live, stream = registry.live.get(call.id), EventStream()
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    source = from_generation(live, stream) if live else from_rows(app, look)
    db.session.rollback()
    return stream.carrying(written(start, source, position, as_html=as_html))


def follower() -> str:
    """Whose share of the threads it is: an account's, or all guests' of one network."""
    return f"guests-{network()}" if is_guest() else f"account-{current_user.account_id}"


def started(ids: dict[str, str], model: str | None, ceiling: int, left_out: int) -> dict[str, Any]:
    """The body of the first event. `left_out` earlier messages no longer fit into what the model reads."""
    return {**ids, "model": model, **amount("ceiling", ceiling), "left_out": left_out}


class EventStream(Response, Follower):
    """The answer that carries the events; it keeps the request's place until it is closed, read or not."""

    def __init__(self, ping: str = PING) -> None:
        super().__init__(content_type="text/event-stream; charset=utf-8")
        self.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self.call_on_close(g.pop("leave_place"))
        self._ping = ping.encode()

    def carrying(self, events: Iterator[str]) -> "EventStream":
        self.response = events
        return self

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body, status, headers = self.get_wsgi_response(environ)
        self._socket: Any = environ.get("gunicorn.socket")
        self._write = start_response(status, headers)
        return body

    def ping(self) -> None:
        """In the thread that checkpoints: the reader's own waits for the provider, and `tend` keeps it from writing."""
        poll = select.poll()
        with suppress(OSError, TypeError):
            poll.register(self._socket, select.POLLOUT)
            if poll.poll(0):
                self._write(self._ping)


def written(
    start: dict[str, Any], source: Iterator[str | dict[str, Any] | None], skip: int, *, as_html: bool
) -> Iterator[str]:
    """The source as events: text past the first `skip` characters as deltas, None as a comment, a dict as the last."""
    renderer, position = AnswerRenderer() if as_html else None, 0
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


def from_generation(generation: Generation, follower: Follower) -> Iterator[str | dict[str, Any] | None]:
    yield from generation.follow(follower)
    with generation.app.app_context():
        yield last_event(generation)


def from_rows(app: Flask, look: Look) -> Iterator[str | dict[str, Any] | None]:
    """Follow what another process writes, or what is finished, by looking at its rows now and then.

    A process that is to go breaks off at once: the reader comes back, to another one.
    """
    position, quiet_since = 0, time.monotonic()
    while not registry.live.is_ending:
        with app.app_context():
            text, ending = look()
        if len(text) > position:
            yield text[position:]
            position, quiet_since = len(text), time.monotonic()
        if ending:
            yield ending
            return
        if time.monotonic() - quiet_since > PING_SECONDS:
            yield None
            quiet_since = time.monotonic()
        time.sleep(POLL_SECONDS)


def last_event(generation: Generation) -> dict[str, Any]:
    """`done` with what it cost, or `error` with why; from the thread where it is known, else from the rows."""
    ending, ids, kept = generation.ending, generation.ids, generation.kept
    if ending is not None and ending.receipt is not None:
        receipt = ending.receipt
        tokens = receipt.usage.input_tokens, receipt.usage.output, receipt.usage.source
        is_shortened = generation.reservation.prompt.shortened_from is not None
        has_text = bool(generation.text.strip() or receipt.usage.images)
        why = why_it_ended(generation.call_ending.finish_reason, has_text=has_text, is_shortened=is_shortened)
        last = ended(ids, ending, (receipt.paid, receipt.available, *tokens), why)
        if generation.has_fallen_back:
            last |= by_fallback(generation.reservation.prompt.model, generation.sent.model, last)
        return last | shown_images(receipt.usage_id, receipt.usage.images)
    if kept is not None:
        return ended_row(db.session.get_one(kept.table.model, kept.row_id), ids, kept.table)
    call = db.session.get_one(Usage, generation.reservation.usage_id)
    return ended_call(call, call.account_id, ids, ending)


def ended_row(row: Any, ids: dict[str, str], table: TextTable) -> dict[str, Any]:
    ending = Outcome(row.status, None, row.error_code, row.error_detail)
    has_text = bool(getattr(row, table.text).strip() or row.call.images)
    last, model = ended_call(row.call, row.account_id, ids, ending, has_text=has_text), getattr(row, "model", "")
    return last | by_fallback(row.call.model, model, last) if row.call.is_by_fallback(model) else last


def ended_call(
    call: Usage, reader_account_id: int, ids: dict[str, str], ending: Outcome | None, *, has_text: bool = True
) -> dict[str, Any]:
    figures = (call.paid_nanos, left_for(call, reader_account_id), call.input_tokens, call.output, call.source)
    why = why_it_ended(call.finish_reason, has_text=has_text, is_shortened=call.shortened_from is not None)
    last = ended(ids, ending or Outcome(call.outcome or "interrupted", None), figures, why)
    return last | shown_images(call.id, call.images)


def left_for(call: Usage, reader_account_id: int) -> int:
    """What whoever made the call may spend now, in nanos."""
    account_state, now = AccountState.load(reader_account_id), utcnow()
    member = Membership.of(call.user_id, reader_account_id)
    if member is None:
        return int(account_state.balance(now).available)
    key = db.session.get(ApiKey, call.api_key_id) if call.api_key_id else None
    return spendable(account_state, Actor.of_member(member, key), now)


def shown_images(call_id: int, images: int) -> dict[str, Any]:
    """Part of the last event of a call that made images: its files."""
    files = Attachment.of_call(call_id) if images else []
    return {"images": [shown_attachment(file) for file in files]} if files else {}


def by_fallback(asked: str, answered: str, last: dict[str, Any]) -> dict[str, Any]:
    """Part of the last event where another model answered than the one that was asked: the note says so first."""
    if last["event"] != "done":
        return {}
    return {"note": " ".join(filter(None, [fallback_note(asked, answered), last["note"]]))}


def why_it_ended(finish_reason: str | None, *, has_text: bool, is_shortened: bool) -> dict[str, Any]:
    """Part of the last event: the reason, what a reader is told of it, and whether going on makes sense.

    `shortened`: balance or limits afforded less output than was asked for.
    """
    return {
        "finish_reason": finish_reason,
        "shortened": is_shortened,
        "note": finish_note(finish_reason, has_text=has_text, is_shortened=is_shortened),
        "can_go_on": can_go_on(finish_reason, has_text=has_text),
    }


def ended(ids: dict[str, str], ending: Outcome, figures: tuple[Any, ...], why: dict[str, Any]) -> dict[str, Any]:
    paid, available, input_tokens, output_tokens, source = figures
    names = {name: value for name, value in ids.items() if name not in {"chat_id", "user_message_id"}}
    body = {
        **names,
        **amount("cost", paid),
        **amount("available", available),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "estimated": source == "estimated",
        **why,
    }
    if ending.status == "done":
        return {"event": "done", **body}
    return {"event": "error", "code": ending.code or ending.status, "detail": ending.detail or "", **body}
