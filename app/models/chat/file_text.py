"""PDF and office files as text: a short-lived process reads them, with bounds of its own. security.md, What is dear."""

import json
import re
import subprocess
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Condition
from typing import NamedTuple

from app.models.metering.refusal import InvalidRequest

STARTS = (b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
LARGEST_FILE = 7_000_000
"""In base64 it is as long as a text may be that the API reads."""

SECONDS_OF_PROCESSOR, SECONDS_AT_MOST = 8, 30
READER = Path(__file__).with_name("file_reader.py")
SMALLER = "Attach only the part you need."
UNKNOWN_KIND = (
    "can't be read. Use a PDF, a Word, Excel or PowerPoint file, a text file, or in a chat "
    "an image (PNG, JPEG, WebP or GIF)."
)
OTHER_ENCODING = "is a text, but not in UTF-8: its letters would come out wrong. Save it as UTF-8."
UTF_16 = (BOM_UTF16_LE, BOM_UTF16_BE)
NOT_FOR_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
PROBLEMS = {
    "broken": "is broken: it can't be read. Save it again, then attach it.",
    "dear": f"is too large or too complex to read. {SMALLER}",
    "encrypted": "is protected by a password. Save it without one, then attach it.",
    "no text": "has no text in it. If its pages are scans, attach them as images.",
    "old": "is in an old Office format. Save it as DOCX, XLSX, PPTX or PDF, then attach it.",
    "unknown": UNKNOWN_KIND,
}


class FileText(NamedTuple):
    """`excerpt` says what it is of the file where it was cut: "the first 40 of 120 pages"."""

    text: str
    excerpt: str | None = None


class ReadersBusy(Exception):
    """As many files are being read as this process reads at once."""

    retry_after = 10

    def __init__(self) -> None:
        super().__init__("Other files are being read right now. Try again in a few seconds.")


class Readers:
    """Who has a file read, or waits for it: two files of a process are read at once, one of an account."""

    def __init__(self, places: int = 2, most_of_one: int = 5, most: int = 20) -> None:
        self.places, self.most_of_one, self.most = places, most_of_one, most
        self.reading, self.asking, self.changed = set[int](), Counter[int](), Condition()

    @contextmanager
    def place(self, account_id: int) -> Iterator[None]:
        """Wait for a place. ReadersBusy where it takes long, or so many wait that one more would keep others out."""
        with self.changed:
            if self.asking[account_id] >= self.most_of_one or self.asking.total() >= self.most:
                raise ReadersBusy
            self.asking[account_id] += 1
        has_begun = False
        try:
            has_begun = self._wait(account_id)
            yield
        finally:
            with self.changed:
                self.reading -= {account_id} if has_begun else set()
                self.asking.subtract([account_id])
                self.asking += Counter()
                self.changed.notify_all()

    def _wait(self, account_id: int) -> bool:
        with self.changed:
            if not self.changed.wait_for(partial(self.is_free, account_id), ReadersBusy.retry_after):
                raise ReadersBusy
            self.reading.add(account_id)
        return True

    def is_free(self, account_id: int) -> bool:
        return len(self.reading) < self.places and account_id not in self.reading


READERS = Readers()


def text_of(content: bytes, most: int, field: str, account_id: int = 0) -> FileText:
    """The text that a file holds, of whatever language. InvalidRequest at `field` where there is none to be had.

    Of a PDF or an office file at most so many bytes of it; a text file that is longer is refused. `account_id` is
    whose share of the readers it takes.
    """
    if not content.startswith(STARTS):
        return FileText(plain_text(content, most, field))
    if len(content) > LARGEST_FILE:
        raise InvalidRequest({field: [f"is larger than {LARGEST_FILE // 10**6} MB. {SMALLER}"]})
    with READERS.place(account_id):
        answer = answer_of(content, most)
    if "problem" in answer:
        raise InvalidRequest({field: [PROBLEMS[answer["problem"]]]})
    return FileText(**answer)


def plain_text(content: bytes, most: int, field: str) -> str:
    """Without its byte order mark, which may say UTF-16."""
    try:
        text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        is_text = not NOT_FOR_TEXT.search(content.decode("latin-1"))
        raise InvalidRequest({field: [OTHER_ENCODING if is_text else UNKNOWN_KIND]}) from None
    if NOT_FOR_TEXT.search(text):
        raise InvalidRequest({field: [UNKNOWN_KIND]})
    if not text.strip():
        raise InvalidRequest({field: ["is empty."]})
    if len(text.encode()) > most:
        raise InvalidRequest({field: [f"is longer than {most:,} bytes. {SMALLER}"]})
    return text


def answer_of(content: bytes, most: int) -> dict[str, str]:
    command = [sys.executable, "-I", str(READER), str(most), str(SECONDS_OF_PROCESSOR)]
    try:
        reader = subprocess.run(  # noqa: S603 - our own command
            command, input=content, capture_output=True, env={}, timeout=SECONDS_AT_MOST, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return {"problem": "dear"}
    return dict(json.loads(reader.stdout))
