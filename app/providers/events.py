"""Server-sent events: bytes in pieces of any size in, one JSON object per event out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from app.providers.failures import failure

LONGEST_EVENT = 1_000_000
DONE: dict[str, Any] = {"done": True}
"""Stands for OpenAI's `data: [DONE]`."""

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def events(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Each event's data, as it comes; comments, event names and unknown fields are passed over.

    What the end of the stream cut off is left out. Raises ProviderError `malformed` where data is not a JSON object,
    or where an event is longer than LONGEST_EVENT, or where something came that has no event in it.
    """
    pending: list[bytes] = []
    size = 0
    is_empty, has_bytes = True, False
    for line in lines(pieces):
        has_bytes = True
        if not line.startswith(b"data:"):
            if not line and pending:
                yield parsed(b"\n".join(pending))
                pending, is_empty = [], False
            continue
        if not pending and (event := parsed_or_none(line[5:])) is not None:
            is_empty = False
            yield event
            continue
        pending.append(line[5:])
        size = len(line) + (size if len(pending) > 1 else 0)
        if size > LONGEST_EVENT:
            raise failure("malformed")
    if is_empty and has_bytes and not pending:
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


def parsed(data: bytes) -> dict[str, Any]:
    event = parsed_or_none(data)
    if event is None:
        raise failure("malformed")
    return event


def parsed_or_none(data: bytes) -> dict[str, Any] | None:
    """The JSON object, DONE, or None where it is neither (or only a part of one)."""
    try:
        event = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        return DONE if data.strip() == b"[DONE]" else None
    return event if isinstance(event, dict) else None
