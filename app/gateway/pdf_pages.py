"""How many pages a PDF has: their marks are counted, in what lies open and in its object streams."""

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from app.models.metering.refusal import InvalidRequest

MOST_UNPACKED, FIRST_PIECE, PIECE = 8_000_000, 512, 65_536
MOST_STREAMS, ZLIB_HEADER = 5_000, 2
DICTIONARY = 4_000
"""Within so many bytes after its mark any `stream` may be where an object stream begins."""


def name(word: str) -> bytes:
    """A pattern of a name; each of its letters may be written as a code."""
    letters = (b"(?:%c|#(?i:%02x))" % (letter, letter) for letter in word.encode())
    return rb"/%b(?![^\0\s()<>\[\]{}/%%])" % b"".join(letters)


PAGE = re.compile(name("Page"))
STREAM = rb"(?<!end)stream\r?\n"
MARK_OR_STREAM = re.compile(name("ObjStm") + rb"|" + STREAM)
NUMBERS = re.compile(rb"[\0\s]*\d+[\0\s]+\d+\s")
"""What an object stream begins with: numbers of objects and where they are."""


def pages_of(document: bytes) -> int:
    """At least one. InvalidRequest where something is packed in a way that we can't read."""
    pages, room = len(PAGE.findall(document)), MOST_UNPACKED
    for opened in object_streams(document):
        pages += len(PAGE.findall(opened))
        room -= len(opened)
        if room <= 0:
            raise unknown()
    return max(1, pages)


def object_streams(document: bytes) -> Iterator[bytes]:
    """What is packed in each. A mark's dictionary may hold a word that only looks like the beginning of its stream:
    each near it is tried, and one must be an object stream."""
    streams, until, is_read, is_tried = 0, 0, True, False
    for mark in MARK_OR_STREAM.finditer(document):
        if mark[0].startswith(b"/"):
            if is_tried and not is_read:
                raise unknown()
            until, is_read, is_tried = mark.end() + DICTIONARY, False, False
        elif mark.start() < until or not (is_read or is_tried):
            streams, is_tried = streams + 1, True
            if streams > MOST_STREAMS:
                raise unknown()
            opened = unpacked(document, mark.end())
            is_read = is_read or bool(opened or NUMBERS.match(document, mark.end()))
            yield opened
    if is_tried and not is_read:
        raise unknown()


def unpacked(document: bytes, place: int) -> bytes:
    """As much as there is room for; nothing where it is no object stream. Checksums are not looked at: no reader does.

    InvalidRequest for one that breaks off, or comes to nothing.
    """
    place += ZLIB_HEADER
    first, unpacker = document[place : place + FIRST_PIECE], zlib.decompressobj(-zlib.MAX_WBITS)
    with suppress(zlib.error):
        opened = unpacker.decompress(first, MOST_UNPACKED)
        return opened + rest(unpacker, document, place + FIRST_PIECE) if NUMBERS.match(opened) else b""
    return b""


def rest(unpacker: Any, document: bytes, place: int) -> bytes:
    opened = b""
    try:
        while not unpacker.eof and place < len(document) and len(opened) < MOST_UNPACKED:
            piece = unpacker.decompress(document[place : place + PIECE], MOST_UNPACKED)
            if not piece and not unpacker.eof:
                raise unknown()
            opened, place = opened + piece, place + PIECE
    except zlib.error:
        raise unknown() from None
    return opened


def unknown() -> InvalidRequest:
    return InvalidRequest({"document": ["is packed in a way that hides what it costs. Save it again as a plain PDF."]})
