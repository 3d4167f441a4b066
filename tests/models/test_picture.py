"""Pictures are decoded when they come: what a provider could not read is refused, in words."""

import contextlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.models.chat.picture import LARGEST_IMAGE, NotReadable, Picture, read_picture
from tests.support.pictures import jpeg, png


def saved(kind: str, width: int = 300, height: int = 200) -> bytes:
    held = BytesIO()
    Image.new("RGB", (width, height), "teal").save(held, kind)
    return held.getvalue()


CUT_OFF = bytes.fromhex("89504e470d0a1a0a0000000d494844520000004000000040080200000000000000") + b"cut off in the middle"
NO_PICTURES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><img src=x onerror=alert(1)>",
    "riff, but sound": b"RIFF\x10\x00\x00\x00WAVEfmt " + bytes(20),
    "nothing": b"",
}
BROKEN = {
    "a signature alone": b"\x89PNG\r\n\x1a\n",
    "cut off": CUT_OFF,
    "no size": png(0, 5),
    "half a photograph": saved("JPEG")[:700],
    "a jpeg's head alone": jpeg(300, 200),
    "half a webp": saved("WEBP")[:60],
    "a gif without a picture": b"GIF89a\x2c\x01\xc8\x00\x80\0\0" + bytes(6) + b";",
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_each_kind_is_read_and_measured(kind: str) -> None:
    assert read_picture(saved(kind)) == Picture(f"image/{kind.lower()}", 300, 200)


@pytest.mark.parametrize("content", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_does_not_begin_as_a_picture_is_none(content: bytes) -> None:
    assert read_picture(content) is None


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_picture_is_refused(content: bytes) -> None:
    with pytest.raises(NotReadable, match="broken image"):
        read_picture(content)


@pytest.mark.parametrize(("content", "told"), [
    (jpeg(8001, 2), "8,001 x 2 pixels"), (jpeg(8000, 8000), "8,000 x 8,000 pixels"),
    (png(1, 1) + bytes(LARGEST_IMAGE), "3.75 MB"), (jpeg(65_000, 65_000), "pixels"),
])  # fmt: skip
def test_what_is_too_large_is_not_decoded(content: bytes, told: str) -> None:
    with pytest.raises(NotReadable, match=told):
        read_picture(content)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP"]), st.integers(0, 900), st.integers(0, 255), st.booleans())
def test_no_damage_is_a_failure_of_ours(kind: str, place: int, byte: int, is_cut: bool) -> None:
    whole = saved(kind, 40, 30)
    at = place % len(whole)
    damaged = whole[:at] if is_cut else whole[:at] + bytes([byte]) + whole[at + 1 :]
    with contextlib.suppress(NotReadable):
        read_picture(damaged)
