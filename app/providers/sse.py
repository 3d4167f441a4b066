"""Server-sent events: bytes in pieces of any size in, one JSON object per event out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import jiter

from app.providers.errors import failure

LONGEST_EVENT = 1_000_000
MOST_LINES = 1_000
BYTE_ORDER_MARK = "\ufeff".encode()
DONE: dict[str, Any] = {"done": True}
"""Stands for OpenAI's `data: [DONE]`."""

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def events(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Each event's data, as it comes; comments, event names and unknown fields are passed over.

    What the end of the stream cut off is left out. Raises ProviderError `malformed` where data is not a JSON object,
    or where an event is longer than LONGEST_EVENT, or where what came is not an event stream at all.
    """
    pending: list[bytes] = []
    has_events, has_other = False, False
    whole = lines(pieces)
    for line in chain([next(whole, b"").removeprefix(BYTE_ORDER_MARK)], whole):
        if line.startswith(b"data:"):
            event = parsed_or_none(line[5:]) if not pending else None
            if event is None:
                pending.append(line[5:])
                check_size(pending)
        else:
            event = parsed(pending) if pending and not line else None
            has_other = has_other or line[:1] not in (b"", b":")
        if event is not None:
            has_events = True
            pending.clear()
            yield event
    if has_other and not has_events:
        raise failure("malformed")


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines without their ends; the last one too where its end is missing. Never holds more than LONGEST_EVENT."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        if whole and rest:
            whole[0] = b"".join((*rest, whole[0]))
            rest, size = [], 0
        for line in whole:
            yield line.removesuffix(b"\r")
        if last:
            rest.append(last)
            size += len(last)
        if size > LONGEST_EVENT:
            raise failure("malformed")
    if rest:
        yield b"".join(rest)


def check_size(pending: list[bytes]) -> None:
    if len(pending) > MOST_LINES or sum(map(len, pending)) > LONGEST_EVENT:
        raise failure("malformed")


def parsed(pending: list[bytes]) -> dict[str, Any] | None:
    """The object that was spread over these lines; None where they are empty, as signs of life are."""
    data = b"\n".join(pending)
    pending.clear()
    event = parsed_or_none(data)
    if event is None and data.strip():
        raise failure("malformed")
    return event


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
        return DONE if data.strip() == b"[DONE]" else None
