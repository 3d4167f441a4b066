"""Markdown as a Word document: headings, paragraphs with emphasis, lists, quotes, code. Its words are all there."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from docx import Document
from docx.oxml import OxmlElement
from docx.text.paragraph import Paragraph
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.web.markdown_rules import TooDear, bound

SECONDS = 3.0
NEWLINE = re.compile(r"\r\n?")
PARSER = MarkdownIt("commonmark").enable("strikethrough").enable("table")
bound(PARSER)
STYLES = {
    "bullet_list_open": "List Bullet",
    "ordered_list_open": "List Number",
    "blockquote_open": "Intense Quote",
}
MARKS = {"strong_open": ("bold", True), "strong_close": ("bold", False), "em_open": ("italic", True),
         "em_close": ("italic", False), "s_open": ("strike", True), "s_close": ("strike", False)}  # fmt: skip


def as_docx(title: str, body: str, seconds: float = SECONDS) -> bytes:
    """The file; what there is no time for within `seconds` of the processor stands as it was written."""
    end = time.thread_time() + seconds
    made = Document()
    made.core_properties.title, made.core_properties.author = clean(title)[:250], ""
    body = NEWLINE.sub("\n", body)
    tokens: list[Token] = []
    with suppress(TooDear):
        tokens = PARSER.parse(body, {"end": end})
    count = write_blocks(Body(made), tokens, lambda: time.thread_time() < end)
    if count < len(tokens) or not tokens:
        first = next((token.map[0] for token in tokens[count:] if token.map), 0)
        Body(made).paragraph().add_run(clean("\n".join(body.split("\n")[first:])))
    out = BytesIO()
    made.save(out)
    return out.getvalue()


class Body:
    """Appends paragraphs in the same time each: python-docx looks for the end and for the style anew."""

    def __init__(self, made: Any) -> None:
        self.parent = made._body
        self.end = made.element.body.sectPr
        self.styles = {style.name: style.style_id for style in made.styles}

    def paragraph(self, style: str | None = None) -> Paragraph:
        element = OxmlElement("w:p")
        self.end.addprevious(element)
        if style:
            element.style = self.styles[style]
        return Paragraph(element, self.parent)


def write_blocks(body: Body, tokens: Sequence[Token], has_time: Callable[[], bool]) -> int:
    """Each paragraph in the style of the innermost list or quote that it stands in; how many tokens it came to."""
    around: list[str] = []
    heading = 0
    for number, token in enumerate(tokens):
        if token.map and not has_time():
            return number
        if token.type in STYLES:
            around.append(STYLES[token.type])
        elif token.type.replace("_close", "_open") in STYLES:
            around.pop()
        elif token.type == "heading_open":
            heading = int(token.tag[1])
        elif token.type == "inline":
            style = f"Heading {heading}" if heading else around[-1] if around else None
            write_inline(body.paragraph(style), token.children or [])
            heading = 0
        elif token.type in {"fence", "code_block", "html_block"}:
            body.paragraph().add_run(clean(token.content.rstrip("\n"))).font.name = "Courier New"
    return len(tokens)


def write_inline(paragraph: Any, tokens: Sequence[Token]) -> None:
    marks: dict[str, bool] = {}
    for token in tokens:
        if token.type in MARKS:
            name, is_on = MARKS[token.type]
            marks[name] = is_on
        elif token.type in {"softbreak", "hardbreak"}:
            paragraph.add_run("\n" if token.type == "hardbreak" else " ")
        elif token.content:
            run = paragraph.add_run(clean(token.content))
            for name in (name for name, is_on in marks.items() if is_on):
                setattr(run.font, name, True)
            if token.type == "code_inline":
                run.font.name = "Courier New"


def clean(text: str) -> str:
    """Without the control characters that XML has no place for."""
    return "".join(letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff"))
