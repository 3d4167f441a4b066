"""The difference of two texts as a person reads it: lines kept, words removed and added."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

PIECES = re.compile(r"\s+|\w+|[^\w\s]")
MOST_PAIRS = 20_000_000
"""Of words that are compared with each other, in all; passages beyond are compared as a whole."""

Change = tuple[str, str]
"""`same`, `gone` or `new`, and the text."""


def changes(before: str, after: str) -> list[Change]:
    """The parts of both texts in order: all but the new ones make `before`, all but those gone make `after`."""
    return list(merged(by_lines(before.splitlines(keepends=True), after.splitlines(keepends=True))))


def by_lines(old: list[str], new: list[str]) -> Iterator[Change]:
    """A line that is all over a long text, as empty ones are, begins no match: the work would grow with its square."""
    pairs = MOST_PAIRS
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        gone, came = "".join(old[start:end]), "".join(new[new_start:new_end])
        if tag == "equal":
            yield "same", gone
            continue
        old_words, new_words = PIECES.findall(gone), PIECES.findall(came)
        pairs -= len(old_words) * len(new_words)
        yield from by_words(old_words, new_words) if pairs > 0 else (("gone", gone), ("new", came))


def by_words(old: list[str], new: list[str]) -> Iterator[Change]:
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
