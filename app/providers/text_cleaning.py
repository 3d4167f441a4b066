"""Cleans a model's text for databases and sockets."""

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


class EventCleaner:
    """Half a surrogate pair waits for its other half, which comes in the same field of a later event."""

    def __init__(self) -> None:
        self._halves: dict[Path, str] = {}

    def clean(self, value: Any, path: Path = ()) -> Any:
        if isinstance(value, str):
            is_clean = value.isascii() and "\0" not in value and not self._halves
            return value if is_clean else self._text(value, path)
        if isinstance(value, dict) and len(path) < LARGEST_DEPTH:
            return {key: self.clean(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list) and all(type(inner) is float for inner in value):
            return value
        if isinstance(value, list) and len(path) < LARGEST_DEPTH:
            return [self.clean(inner, (*path, place)) for place, inner in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> str:
        text, half = whole(self._halves.pop(path, "") + text)
        if half:
            self._halves[path] = half
        return text.replace("\0", "")
