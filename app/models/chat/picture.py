"""An attached picture: decoded once, so that no provider is sent one that it could not read."""

import struct
import threading
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

KINDS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"RIFF": "WEBP",
}
LARGEST_IMAGE = 3_750_000
"""What every provider takes: 5 MB after it is written in base64."""

LONGEST_SIDE = 8_000
"""Pixels: what every provider takes."""

MOST_PIXELS = 40_000_000
"""What is decoded at once, four bytes each: more than any camera's picture of the size that may be attached."""

BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)
"""All that Pillow raises for bytes that are not what they say; it documents the first only."""

_one_at_a_time = threading.Lock()


class NotReadable(Exception):
    """The bytes begin as a picture, and cannot be read to their end. Its text is for the person who sent them."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's media type, and its width and height in pixels."""

    media_type: str
    width: int
    height: int


def size_of(content: bytes) -> tuple[int, int] | None:
    """Width and height as the first bytes say them, nothing decoded; None where they say none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(content), formats=sorted(set(KINDS.values()))) as image:
                return image.size
        except (*BROKEN, Image.DecompressionBombError):
            return None


def read_picture(content: bytes, largest: int = LARGEST_IMAGE) -> Picture | None:
    """The picture that these bytes are; None where they do not begin as one. NotReadable where it is broken or huge."""
    kind = next((kind for start, kind in KINDS.items() if content.startswith(start)), None)
    if kind is None or (kind == "WEBP" and content[8:12] != b"WEBP"):
        return None
    if len(content) > largest:
        raise NotReadable(f"is an image of more than {largest / 10**6} MB. Make it smaller.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return decoded(content, kind)
        except Image.DecompressionBombError:
            raise NotReadable(f"has too many pixels; {AT_MOST}") from None
        except BROKEN:
            raise NotReadable(CANNOT_BE_READ) from None


def decoded(content: bytes, kind: str) -> Picture:
    with Image.open(BytesIO(content), formats=[kind]) as image:
        width, height = image.size
        if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
            raise NotReadable(f"is {width:,} x {height:,} pixels; {AT_MOST}")
        with _one_at_a_time:
            image.load()
        return Picture(f"image/{kind.lower()}", width, height)


CANNOT_BE_READ = "is a broken image: it cannot be read to its end. Save it again, then attach it."
AT_MOST = f"an image may have {LONGEST_SIDE:,} a side and {MOST_PIXELS // 10**6} million at most."
