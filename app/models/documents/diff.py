"""What two texts differ in, as a person reads it: lines that stayed, words that went and came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

PIECES = re.compile(r"\s+|\w+|[^\w\s]")
MOST_PIECES = 4_000
"""Of a changed passage that is compared word by word; a longer one is compared as a whole."""

Change = tuple[str, str]
"""`same`, `gone` or `new`, and the text."""


def changes(before: str, after: str) -> list[Change]:
    """The parts of both texts in order: all but the new ones make `before`, all but those gone make `after`."""
    return list(merged(by_lines(before.splitlines(keepends=True), after.splitlines(keepends=True))))


def by_lines(old: list[str], new: list[str]) -> Iterator[Change]:
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, came = "".join(old[start:end]), "".join(new[new_start:new_end])
        if tag == "equal":
            yield "same", gone
        else:
            yield from by_words(gone, came)


def by_words(gone: str, came: str) -> Iterator[Change]:
    old, new = PIECES.findall(gone), PIECES.findall(came)
    if not old or not new or len(old) + len(new) > MOST_PIECES:
        yield "gone", gone
        yield "new", came
        return
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield "same", "".join(old[start:end])
        else:
            yield "gone", "".join(old[start:end])
            yield "new", "".join(new[new_start:new_end])


def merged(parts: Iterator[Change]) -> Iterator[Change]:
    """Neighbours of one kind together, without empty ones."""
    kind, text = "", ""
    for next_kind, next_text in parts:
        if next_kind == kind or not next_text:
            text += next_text
            continue
        if text:
            yield kind, text
        kind, text = next_kind, next_text
    if text:
        yield kind, text
