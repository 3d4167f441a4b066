"""Bodies in chunks (RFC 9112, 7.1)."""

import re

LONGEST_LINE = 65_536
PLAIN_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?")


class Chunks:
    """What a body in chunks holds, and where it ends. One that is malformed ends at once."""

    def __init__(self) -> None:
        self.line, self.left = b"", 0
        self.is_trailer = self.is_over = self.is_malformed = False

    @property
    def is_whole(self) -> bool:
        """Read to its end, so that what comes next on the connection is no part of it."""
        return self.is_over and not self.is_malformed

    def feed(self, data: bytes) -> bytes:
        """What the chunks hold of it."""
        at, held = 0, []
        while at < len(data) and not self.is_over:
            if not (self.left or self.line or self.is_trailer) and (inside := whole_chunk(data, at)):
                held.append(data[inside])
                at = inside.stop + 2
                continue
            if self.left:
                part = data[at : at + self.left]
                held.append(self._of_chunk(part))
            else:
                part = data[at : data.find(b"\n", at) + 1 or len(data)]
                self._of_line(part)
            at += len(part)
        return b"".join(held)

    def _of_chunk(self, part: bytes) -> bytes:
        """`left` counts the end of the line behind a chunk too, which it does not hold."""
        size, end_of_line = max(0, self.left - 2), b"\r\n"[max(0, 2 - self.left) :]
        if not end_of_line.startswith(part[size:]):
            self.is_over = self.is_malformed = True
        self.left -= len(part)
        return part[:size]

    def _of_line(self, part: bytes) -> None:
        self.line += part
        if part.endswith(b"\n"):
            self._ended(self.line[:-1])
            self.line = b""
        elif len(self.line) > LONGEST_LINE:
            self.is_over = self.is_malformed = True

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


def whole_chunk(data: bytes, at: int) -> slice | None:
    """Where the bytes of the chunk that begins there are, if all of it is here, as it is with most."""
    size = PLAIN_SIZE.match(data, at)
    inside = slice(size.end(), size.end() + int(size[1], 16)) if size else slice(at, at)
    return inside if inside.stop > inside.start and data.startswith(b"\r\n", inside.stop) else None
