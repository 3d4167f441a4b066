"""What an image says of itself in its first bytes: its kind and its size in pixels. Nothing is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a JPEG's frame header, which states its size."""

JPEG_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers that nothing belongs to."""


@dataclass(frozen=True, slots=True)
class ImageSize:
    """An image's media type, and its width and height in pixels."""

    media_type: str
    width: int
    height: int


def measured(content: bytes) -> ImageSize | None:
    """The image that these bytes begin as; None where they are none of PNG, JPEG, GIF and WebP, or broken."""
    for start, media_type, size in KINDS:
        if content.startswith(start):
            return sized(content, media_type, size)
    return None


def sized(content: bytes, media_type: str, size: Callable[[bytes], tuple[int, int]]) -> ImageSize | None:
    try:
        width, height = size(content)
    except (struct.error, IndexError):
        return None
    return ImageSize(media_type, width, height) if width and height else None


def png_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return (width, height) if content[12:16] == b"IHDR" else (0, 0)


def gif_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Walks from marker to marker until the frame header."""
    position = 2
    while content[position] == 0xFF:
        marker = content[position + 1]
        if marker in JPEG_SIZES:
            height, width = struct.unpack_from(">HH", content, position + 5)
            return width, height
        if marker == 0xFF:
            position += 1
        elif marker in JPEG_BARE:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", content, position + 2)[0]
    return 0, 0


def webp_size(content: bytes) -> tuple[int, int]:
    """The three forms of a WebP: lossy, lossless, extended."""
    if content[8:12] != b"WEBP":
        return 0, 0
    form = content[12:16]
    if form == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if form == b"VP8L" and content[20] == 0x2F:
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8X" and len(content) >= 30:
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    return 0, 0


KINDS: tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", png_size),
    (b"\xff\xd8\xff", "image/jpeg", jpeg_size),
    (b"GIF87a", "image/gif", gif_size),
    (b"GIF89a", "image/gif", gif_size),
    (b"RIFF", "image/webp", webp_size),
)
