"""Server-sent events: bytes in pieces of any size in, one JSON object per event out."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import jiter

from app.providers.errors import failure

LONGEST_EVENT = 1_000_000
MOST_LINES = 1_000
BYTE_ORDER_MARK = "\ufeff".encode()
DONE: dict[str, Any] = {"done": True}
"""Stands for OpenAI's `data: [DONE]`."""

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def events(pieces: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """Each event's data, as it comes; None where no more is here yet.

    Comments, event names and unknown fields are passed over.

    What the end of the stream cut off is left out. One JSON object in the place of a stream, such as an error under
    status 200, is one event. Raises ProviderError `malformed` where data is not a JSON object, or where an event is
    longer than LONGEST_EVENT, or where what came is not an event stream at all.
    """
    pending, other = list[bytes](), list[bytes]()
    has_events = False
    for line in lines(pieces):
        event = None
        if line is None:
            yield None
        elif line.startswith(b"data:"):
            event = parsed_or_none(line[5:]) if not pending else None
            if event is None:
                hold(line[5:], pending)
        elif pending and not line:
            event = parsed(pending)
        elif not has_events and line[:1] not in (b"", b":"):
            hold(line, other)
        if event is not None:
            has_events = True
            pending.clear()
            yield event
    if other and not has_events:
        yield parsed_body(b"\n".join(other))


def lines(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    """The lines without their ends; the last one too where its end is missing. Never holds more than LONGEST_EVENT.

    None after those of each piece.
    """
    rest: list[bytes] = []
    size, mark = 0, BYTE_ORDER_MARK
    for piece in without_bare_returns(pieces):
        *whole, last = piece.split(b"\n")
        if whole and (rest or mark):
            whole[0] = b"".join((*rest, whole[0])).removeprefix(mark)
            rest, size, mark = [], 0, b""
        yield from whole
        if last:
            rest.append(last)
            size += len(last)
        if size > LONGEST_EVENT:
            raise failure("malformed")
        yield None
    if rest:
        yield b"".join(rest).removeprefix(mark)


def without_bare_returns(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces with each end of a line as they may be written, CR LF, CR or LF, as LF."""
    after_return = False
    for piece in pieces:
        if b"\r" in piece or after_return:
            fresh = piece.removeprefix(b"\n") if after_return else piece
            after_return = piece.endswith(b"\r")
            yield fresh.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            yield piece


def hold(line: bytes, held: list[bytes]) -> None:
    """Keep a line until what it belongs to is whole."""
    held.append(line)
    if len(held) > MOST_LINES or sum(map(len, held)) > LONGEST_EVENT:
        raise failure("malformed")


def parsed(pending: list[bytes]) -> dict[str, Any] | None:
    """The object that was spread over these lines; None where they are empty, as signs of life are."""
    data = b"\n".join(pending)
    pending.clear()
    event = parsed_or_none(data)
    if event is None and data.strip() not in (b"", b"null"):
        raise failure("malformed")
    return event


def parsed_body(data: bytes) -> dict[str, Any]:
    """What came in the place of a stream: an answer in one piece, or an error, which some put into a list."""
    try:
        body = jiter.from_json(data, allow_inf_nan=False)
    except ValueError:
        body = None
    body = body[0] if isinstance(body, list) and body else body
    if not isinstance(body, dict):
        raise failure("malformed")
    return body


def parsed_or_none(data: bytes) -> dict[str, Any] | None:
    """The JSON object, DONE, or None where it is neither (or only a part of one)."""
    try:
        event = jiter.from_json(data, allow_inf_nan=False)
    except ValueError:
        event = parsed_leniently(data)
    return event if isinstance(event, dict) else None


def parsed_leniently(data: bytes) -> Any:
    """What the quick parser refuses: half a surrogate pair, of which the other half comes next, and `NaN` as None."""
    try:
        return _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        return DONE if data.strip().upper() == b"[DONE]" else None
