"""Cleans a model's text for databases and sockets."""

import re
from typing import Any

from app.providers.errors import failure


class Text:
    """Checks pieces of text: whole characters only, no NUL, and not more of them than was asked for."""

    def __init__(self, room: int) -> None:
        self.size = 0
        self._room = room
        self._half = ""

    def add(self, piece: str) -> str:
        """The piece without NULs; half a surrogate pair waits for its other half, a lone one is replaced."""
        if not piece.isascii() or self._half:
            piece, self._half = whole(self._half + piece)
        if "\0" in piece:
            piece = piece.replace("\0", "")
        self.size += len(piece)
        if self.size > self._room:
            raise failure("malformed", "more text than was asked for")
        return piece


def whole(text: str) -> tuple[str, str]:
    """The text with lone surrogates replaced, and half a pair at its end, whose other half may come."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    text = text.removesuffix(half)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), half


def encodable(text: str) -> str:
    """The text with lone surrogates replaced: they cannot be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()


Path = tuple[Any, ...]
LARGEST_DEPTH = 50
UNCLEAN = re.compile("[\0\ud800-\udfff]")


class EventCleaner:
    """Half a surrogate pair waits for its other half, which comes in the same field of a later event."""

    def __init__(self) -> None:
        self._halves: dict[Path, str] = {}

    def clean(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event itself where there is nothing to clean, as with most."""
        is_clean = not self._halves and not is_unclean(event)
        return event if is_clean else self._cleaned(event)

    def _cleaned(self, value: Any, path: Path = ()) -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict) and len(path) < LARGEST_DEPTH:
            return {key: self._cleaned(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list) and len(path) < LARGEST_DEPTH:
            return [self._cleaned(inner, (*path, place)) for place, inner in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> str:
        text, half = whole(self._halves.pop(path, "") + text)
        if half:
            self._halves[path] = half
        return text.replace("\0", "")


def is_unclean(value: dict[str, Any] | list[Any], depth: int = LARGEST_DEPTH) -> bool:
    """Whether a text in it holds a NUL or half a surrogate pair. Each delta comes by here."""
    for inner in value.values() if isinstance(value, dict) else value:
        kind = type(inner)
        if kind is str and UNCLEAN.search(inner):
            return True
        if (kind is dict or kind is list) and depth and is_unclean(inner, depth - 1):
            return True
    return False
