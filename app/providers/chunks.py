"""Bodies in chunks (RFC 9112, 7.1)."""

from __future__ import annotations

import re

LONGEST_LINE = 65_536
SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?")


class Chunks:
    """What a body in chunks holds, and where it ends. One that is malformed ends at once."""

    def __init__(self) -> None:
        self.line, self.left = b"", 0
        self.is_trailer = self.is_over = self.is_malformed = False

    def feed(self, data: bytes) -> bytes:
        """What the chunks hold of it. `left` counts the end of the line behind a chunk too."""
        at, held = 0, []
        while at < len(data) and not self.is_over:
            if self.left:
                held.append(data[at : at + max(0, self.left - 2)])
                step = min(self.left, len(data) - at)
                self.left, at = self.left - step, at + step
                continue
            end = data.find(b"\n", at)
            self.line += data[at : end if end >= 0 else len(data)]
            at = end + 1 if end >= 0 else len(data)
            if end >= 0:
                self._ended(self.line)
                self.line = b""
            elif len(self.line) > LONGEST_LINE:
                self.is_over = self.is_malformed = True
        return b"".join(held)

    def _ended(self, line: bytes) -> None:
        text = line.removesuffix(b"\r")
        if self.is_trailer:
            self.is_over = not text
            return
        size = SIZE.fullmatch(text)
        if size is None or text == line:
            self.is_over = self.is_malformed = True
            return
        length = int(size[1], 16)
        self.is_trailer, self.left = not length, length and length + 2
