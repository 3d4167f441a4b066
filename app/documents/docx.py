"""Markdown as a Word document: headings, paragraphs with emphasis, lists, quotes, code. Its words are all there."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from docx import Document
from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable("strikethrough").enable("table")
STYLES = {
    "bullet_list_open": "List Bullet",
    "ordered_list_open": "List Number",
    "blockquote_open": "Intense Quote",
}
MARKS = {"strong_open": ("bold", True), "strong_close": ("bold", False), "em_open": ("italic", True),
         "em_close": ("italic", False), "s_open": ("strike", True), "s_close": ("strike", False)}  # fmt: skip


def as_docx(title: str, body: str) -> bytes:
    made = Document()
    made.core_properties.title, made.core_properties.author = clean(title)[:250], ""
    write_blocks(made, PARSER.parse(body))
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def write_blocks(made: Any, tokens: Sequence[Token]) -> None:
    """Each paragraph in the style of the innermost list or quote that it stands in."""
    around: list[str] = []
    heading = 0
    for token in tokens:
        if token.type in STYLES:
            around.append(STYLES[token.type])
        elif token.type.replace("_close", "_open") in STYLES:
            around.pop()
        elif token.type == "heading_open":
            heading = int(token.tag[1])
        elif token.type == "inline":
            paragraph = made.add_heading(level=heading) if heading else made.add_paragraph()
            if not heading and around:
                paragraph.style = around[-1]
            write_inline(paragraph, token.children or [])
            heading = 0
        elif token.type in {"fence", "code_block", "html_block"}:
            made.add_paragraph().add_run(clean(token.content.rstrip("\n"))).font.name = "Courier New"


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
            run.bold, run.italic, run.font.strike = (marks.get(name) for name in ("bold", "italic", "strike"))
            if token.type == "code_inline":
                run.font.name = "Courier New"


def clean(text: str) -> str:
    """Without the control characters that XML has no place for."""
    return "".join(
        letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff")
    )
