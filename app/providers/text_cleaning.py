"""Text as it comes from a model, made fit for databases and sockets."""

from __future__ import annotations

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
            piece = self._whole(self._half + piece)
        if "\0" in piece:
            piece = piece.replace("\0", "")
        self.size += len(piece)
        if self.size > self._room:
            raise failure("malformed", "more text than was asked for")
        return piece

    def _whole(self, piece: str) -> str:
        is_half = "\ud800" <= piece[-1:] <= "\udbff"
        self._half = piece[-1] if is_half else ""
        whole = piece[:-1] if is_half else piece
        return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encodable(text: str) -> str:
    """The text with lone surrogates replaced: they cannot be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()
