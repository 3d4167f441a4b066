"""Small images that can be attached: a PNG that is whole, the head of a JPEG, and one to look at."""

import struct
import zlib


def png(width: int, height: int, shade: int = 200) -> bytes:
    """A grey picture."""
    rows = (b"\0" + bytes([shade]) * width) * height
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def jpeg(width: int, height: int) -> bytes:
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    return head + frame + b"\xff\xd9"


def drawn(width: int, height: int) -> bytes:
    """A colour picture to look at: a boat on the water, under the sun."""
    places = ([(x / width, y / height) for x in range(width)] for y in range(height))
    rows = b"".join(b"\0" + bytes(part for place in row for part in shade(*place)) for row in places)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def shade(x: float, y: float) -> tuple[int, int, int]:
    """The colour at a place, both from 0 to 1."""
    if (x - 0.8) ** 2 + (y - 0.25) ** 2 < 0.008:
        return 244, 190, 90
    if 0.58 < y < 0.7 and abs(x - 0.42) < 0.24 - (y - 0.58):
        return 178, 66, 52
    if 0.44 < y <= 0.58 and 0.3 < x < 0.5:
        return 248, 246, 238
    return (38, 104, 128) if y > 0.66 else (190, 219, 226)
