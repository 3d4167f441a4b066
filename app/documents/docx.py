"""Markdown as a Word document: headings, paragraphs with emphasis, lists, quotes, code. Its words are all there."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from docx import Document
from docx.oxml import OxmlElement
from docx.oxml.numbering import CT_Num
from docx.text.paragraph import Paragraph
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.web.markdown_rules import TooDear, bound

SECONDS = 3.0
NEWLINE = re.compile(r"\r\n?")
PARSER = MarkdownIt("commonmark").enable("strikethrough").enable("table")
bound(PARSER)
NUMBERED = "List Number"
STYLES = {
    "bullet_list_open": "List Bullet",
    "ordered_list_open": NUMBERED,
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
        self.numbering = made.part.numbering_part.element
        self.numbers = len(self.numbering.num_lst)
        counted = self.numbering.num_having_numId(made.styles[NUMBERED].element.pPr.numPr.numId.val)
        self.counted = counted.abstractNumId.val

    def paragraph(self, style: str | None = None, number: int | None = None) -> Paragraph:
        element = OxmlElement("w:p")
        self.end.addprevious(element)
        if style:
            element.style = self.styles[style]
        if number:
            element.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = number
        return Paragraph(element, self.parent)

    def list_from(self, start: int) -> int:
        """The number of a new numbered list: without one of its own it would go on with the one before."""
        self.numbers += 1
        new = CT_Num.new(self.numbers, self.counted)
        new.add_lvlOverride(ilvl=0).add_startOverride(start)
        self.numbering.append(new)
        return self.numbers


def write_blocks(body: Body, tokens: Sequence[Token], has_time: Callable[[], bool]) -> int:
    """Each paragraph in the style of the innermost list or quote that it stands in; how many tokens it came to."""
    around: list[tuple[str, int | None]] = []
    heading = 0
    for number, token in enumerate(tokens):
        if token.map and not has_time():
            return number
        if token.type in STYLES:
            style = STYLES[token.type]
            around.append((style, body.list_from(int(token.attrGet("start") or 1)) if style == NUMBERED else None))
        elif token.type.replace("_close", "_open") in STYLES:
            around.pop()
        elif token.type == "heading_open":
            heading = int(token.tag[1])
        elif token.type == "inline":
            look = (f"Heading {heading}", None) if heading else around[-1] if around else (None, None)
            write_inline(body.paragraph(*look), token.children or [])
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
