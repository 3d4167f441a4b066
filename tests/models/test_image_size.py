"""Images are known by their first bytes, and measured without being decoded."""

import struct

import pytest

from app.models.chat.image_size import ImageSize, measured
from tests.support.pictures import gif, jpeg, png, webp_extended, webp_lossless, webp_lossy

BROKEN = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><img src=x onerror=alert(1)>",
    "a signature alone": b"\x89PNG\r\n\x1a\n",
    "no size": png(0, 5),
    "another chunk first": png(3, 2).replace(b"IHDR", b"iTXt"),
    "riff, but sound": b"RIFF\x10\x00\x00\x00WAVEfmt " + bytes(20),
    "jpeg without a frame": b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9",
    "jpeg that lies about a length": b"\xff\xd8\xff\xe0\xff\xff",
    "jpeg that never goes on": b"\xff\xd8\xff\xff\xff\xff",
    "nothing": b"",
}


@pytest.mark.parametrize(("content", "media_type"), [
    (png(300, 200), "image/png"), (jpeg(300, 200), "image/jpeg"), (gif(300, 200), "image/gif"),
    (webp_lossy(300, 200), "image/webp"), (webp_lossless(300, 200), "image/webp"),
    (webp_extended(300, 200), "image/webp"),
])  # fmt: skip
def test_each_kind_is_known_and_measured(content: bytes, media_type: str) -> None:
    assert measured(content) == ImageSize(media_type, 300, 200)


def test_the_size_of_a_jpeg_is_found_behind_what_comes_before() -> None:
    camera = b"\xff\xe1" + struct.pack(">H", 2 + 5000) + b"\xff\xc0" * 2500
    plain = jpeg(640, 480)
    assert measured(plain[:2] + camera + b"\xff\xff\xd0" + plain[2:]) == ImageSize("image/jpeg", 640, 480)


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_image_is_none(content: bytes) -> None:
    assert measured(content) is None


@pytest.mark.parametrize("whole", [png(3, 2), jpeg(3, 2), gif(3, 2), webp_lossy(3, 2), webp_extended(3, 2)])
def test_an_image_that_is_cut_off_anywhere_is_no_failure(whole: bytes) -> None:
    assert {type(measured(whole[:end])) for end in range(len(whole))} <= {ImageSize, type(None)}
