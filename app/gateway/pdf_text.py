"""How much text the pages of a PDF show: the strings in its streams, deflated or not."""

import re
import zlib

from app.gateway.pdf_pages import PIECE, STREAM

OTHER = re.compile(rb"/(Image|ObjStm|XRef|Length1)\b")
"""Streams that show no text: pictures, objects, fonts."""

DICTIONARY, LEAST = 600, 64
"""Within so many bytes before a stream is what it holds; it is unpacked in pieces, and costs no less than so many."""

TEXT = re.compile(rb"\(((?:[^()\\]|\\.)*)|<([0-9A-Fa-f\s]*)", re.DOTALL)
"""A string, in letters or in hexadecimal digits. Whether it ends is not asked, so that each byte is read once."""


def text_size(document: bytes, room: int) -> int:
    """Its bytes, in the first `room` bytes that streams unpack to. What is packed otherwise is not seen."""
    shown = 0
    for mark in re.finditer(STREAM, document):
        before = document[max(0, mark.start() - DICTIONARY) : mark.start()]
        is_other = OTHER.search(before, before.rfind(b" obj") + 1)
        content = b"" if is_other else unpacked(document, mark.end(), room)
        if b"BT" in content:
            shown += sum(len(text) + len(digits) // 2 for text, digits in TEXT.findall(content))
        room -= max(LEAST, len(content))
        if room <= 0:
            break
    return shown


def unpacked(document: bytes, place: int, room: int) -> bytes:
    """As much as there is room for; what is not deflated as it stands there."""
    opened, unpacker, at = b"", zlib.decompressobj(), place
    try:
        while not unpacker.eof and len(opened) < room and at < len(document):
            opened += unpacker.decompress(document[at : at + PIECE], room - len(opened))
            at += PIECE
    except zlib.error:
        if not opened:
            end = document.find(b"endstream", place, place + room)
            return document[place : end if end >= 0 else place + room]
    return opened
