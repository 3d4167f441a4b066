"""What one request has computed is bounded in processor time, for the longest input. security.md 28."""

import re
import resource
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from io import BytesIO
from typing import Any

import docx
import nh3
import pytest
from flask import Flask, g
from PIL import Image

from app.documents.docx import as_docx
from app.gateway.pdf_pages import pages_of
from app.models.chat import file_text
from app.models.chat.file_text import LARGEST_FILE
from app.models.chat.picture import LONGEST_SIDE, MOST_PIXELS, read_picture
from app.models.documents.diff import changes
from app.models.documents.document import LONGEST_BODY
from app.models.metering.refusal import InvalidRequest
from app.providers.token_count import estimate_tokens
from app.web import formatting
from app.web.highlighting import LANGUAGES, LONGEST, coloured, highlighted
from app.web.markdown import render
from app.web.markdown_stream import StreamRenderer
from tests.support import files

ROOM = 4
EMPTY_STREAM = b"/ObjStm stream\n" + zlib.compress(b"1 0 ")
"""How much slower than the bound a machine may be that runs other tests beside."""


def long(piece: str, length: int = LONGEST_BODY) -> str:
    return (piece * (length // len(piece) + 1))[:length]


TEXTS = {
    "prose": long("Some words **bold**, *it*, `code` and https://example.org/a_b.\n\n"),
    "paragraph": long("Some words **bold**, *it*, `code` and more. "),
    "table": "| a | b | c |\n|---|---|---|\n" + long("| 1 | 2 | 3 |\n"),
    "list": long("- one of many things to remember\n"),
    "code": long("```python\n" + "x = [1, 'a']  # a comment\n" * 1_000 + "```\n\n"),
}


def streamed(text: str) -> None:
    renderer = StreamRenderer()
    for start in range(0, len(text), 500):
        renderer.feed(text[start : start + 500])
    renderer.finish()


@pytest.mark.parametrize(
    ("seconds", "kinds", "function"),
    [
        (1.5, ["prose", "paragraph", "table", "list", "code"], render),
        (5, ["list"], streamed),
        (2, ["list"], lambda text: as_docx("A title", text, 1.0)),
        (1.5, ["prose", "list"], lambda text: changes(text, text.replace("o", "0"))),
        (1, ["prose", "table"], estimate_tokens),
    ],
    ids=["page", "stream", "Word file", "diff", "count of tokens"],
)
def test_the_longest_text_has_its_bound(seconds: float, kinds: list[str], function: Callable[[str], Any]) -> None:
    took = {kind: taken(lambda text=TEXTS[kind]: function(text)) for kind in kinds}
    assert max(took.values()) < seconds * ROOM, took


def test_the_largest_picture_has_its_bound() -> None:
    written = BytesIO()
    Image.new("RGB", (LONGEST_SIDE, MOST_PIXELS // LONGEST_SIDE)).save(written, "PNG", compress_level=1)
    content = written.getvalue()
    assert taken(lambda: read_picture(content)) < 1 * ROOM


@pytest.mark.parametrize(
    "piece", [b"stream\n", b"/ObjStm stream\n", b"/Type ", b"/ObjStm ", b"endstream", EMPTY_STREAM]
)
def test_a_documents_pages_are_counted_in_one_pass(piece: bytes) -> None:
    content = piece * (LARGEST_FILE // 4 // len(piece))

    def count() -> None:
        with suppress(InvalidRequest):
            pages_of(content)

    assert taken(count) < 0.25 * ROOM


def taken(work: Callable[[], Any]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def test_a_file_has_its_bounds_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_text, "SECONDS_OF_PROCESSOR", 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for content in (files.slow_pdf(), files.bomb()):
        with pytest.raises(InvalidRequest, match="too large or too complex"):
            file_text.text_of(content, 200_000, "data")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_what_was_read_of_a_file_in_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of its time is for pages: on a crowded machine half a second would be over before the first."""
    monkeypatch.setattr(file_text, "SECONDS_OF_PROCESSOR", 2)
    read = file_text.text_of(files.pdf(["ferry " * 600] * 1000), 10**7, "data")
    shown = int(re.fullmatch(r"the first ([\d,]+) of 1,000 pages", read.excerpt)[1])
    assert read.text.count("ferry") == 600 * shown


def test_no_more_files_are_read_at_once_than_there_are_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of one account more than one; who waits longer than others can bear is told so at once."""
    monkeypatch.setattr(file_text.ReadersBusy, "retry_after", 0.01)
    readers = file_text.READERS
    with readers.place(1):
        with pytest.raises(file_text.ReadersBusy):
            file_text.text_of(files.pdf(["Ferry"]), 1000, "data", 1)
        assert file_text.text_of(files.pdf(["Ferry"]), 1000, "data", 2) == ("Ferry", None)
        with readers.place(2), pytest.raises(file_text.ReadersBusy):
            file_text.text_of(files.pdf(["Ferry"]), 1000, "data", 3)
        monkeypatch.setattr(file_text.ReadersBusy, "retry_after", 60)
        readers.asking[1] = readers.most_of_one
        with pytest.raises(file_text.ReadersBusy):
            file_text.text_of(files.pdf(["Ferry"]), 1000, "data", 1)
        readers.asking[1] = 1
    assert (readers.reading, dict(readers.asking)) == (set(), {})
    assert file_text.text_of(files.pdf(["Ferry"]), 1000, "data") == ("Ferry", None)


def test_code_in_any_language_has_its_bound() -> None:
    code = long("def f(x): return {'a': [x, 12.5]}  # some words <b>\n", LONGEST)
    took = {
        # The first time reads the rules of the language, and another may meet the collection of garbage.
        language: min(taken(lambda name=language: highlighted(code, name)) for _ in range(2))
        for language in sorted(LANGUAGES)[::6]
    }
    assert max(took.values()) < 0.25 * ROOM, took
    assert not highlighted(code, "makefile").startswith("<span")


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_no_word_of_code_is_lost_when_time_runs_out(seconds: float) -> None:
    code = "\ufeffx = 1\r\nif a < b:\r  pass  # é\n"
    html = coloured(code, "python", seconds)
    assert unescape(nh3.clean(html, tags=set())) == "x = 1\nif a < b:\n  pass  # é\n"
    assert html.count("<span") > 6 or not seconds


@pytest.mark.parametrize("kind", ["prose", "paragraph", "list"])
def test_a_text_has_its_time_within_a_block_too(kind: str) -> None:
    """Whatever is in it: each step of the parser looks at the clock."""
    text = TEXTS[kind][:60_000]
    html = render(text, 0.0)
    assert html.startswith('<pre class="plain">')
    assert unescape(nh3.clean(html, tags=set())).split() == text.split()


def test_a_long_line_of_data_is_rendered_in_its_time() -> None:
    """Nothing looks back over all that came before in its line."""
    line = long('{"name": 1, ', 30_000)
    assert '<pre class="plain">' not in render(line)


def test_the_texts_of_a_page_share_its_time(app: Flask) -> None:
    with app.test_request_context():
        first = formatting.markdown("Some *words*.")
        assert g.seconds_of_markdown < formatting.SECONDS_OF_A_PAGE
        g.seconds_of_markdown = 0.0
        later = formatting.markdown("Some *words*.")
    assert "<em>words</em>" in first
    assert later == '<pre class="plain">Some *words*.</pre>'


def test_no_word_of_a_text_is_lost_when_time_runs_out() -> None:
    text = "".join(f"word{number} <b>\n\n" for number in range(5_000))
    for html in (render(text, 0.1), render(text, 0.0)):
        shown = unescape(nh3.clean(html, tags=set()))
        assert shown.split() == text.split()
    body = "\r\n".join(f"- one{number}" for number in range(400))
    paragraphs = docx.Document(BytesIO(as_docx("", body, 0.005))).paragraphs
    assert [line.removeprefix("- ") for p in paragraphs for line in p.text.split("\n")] == [
        f"one{number}" for number in range(400)
    ]
