"""A vendor's events made fit to be sent on: whole characters only, no NUL, whatever the vendor split or left open."""

from __future__ import annotations

from typing import Any

Path = tuple[Any, ...]
LARGEST_DEPTH = 50


class EventCleaner:
    """Half a surrogate pair waits for its other half, which comes in the same field of a later event."""

    def __init__(self) -> None:
        self._halves: dict[Path, str] = {}

    def clean(self, value: Any, path: Path = ()) -> Any:
        if isinstance(value, str):
            return value if self._is_clean(value) else self._text(value, path)
        if isinstance(value, dict) and len(path) < LARGEST_DEPTH:
            return {key: self.clean(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list) and all(type(inner) is float for inner in value):
            return value
        if isinstance(value, list) and len(path) < LARGEST_DEPTH:
            return [self.clean(inner, (*path, place)) for place, inner in enumerate(value)]
        return value

    def _is_clean(self, text: str) -> bool:
        return text.isascii() and "\0" not in text and not self._halves

    def _text(self, text: str, path: Path) -> str:
        text = self._halves.pop(path, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[path], text = text[-1], text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "")
