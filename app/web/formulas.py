"""Formulas in LaTeX become MathML, which browsers draw; what cannot be converted is shown as it was written."""

import re
from functools import lru_cache
from html import unescape
from xml.etree import ElementTree

from latex2mathml import exceptions
from latex2mathml.converter import convert_to_element
from markdown_it.common.utils import escapeHtml

LONGEST = 2_000
NOT_LATEX: tuple[type[Exception], ...] = (
    *(kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    *(RecursionError, ValueError, LookupError, TypeError, StopIteration),
)
"""What the converter raises for what it cannot read; it has no common class."""
ELSEWHERE_CALLED = re.compile(r"\\(begin|end)\{(aligned|alignedat|gathered|gather|eqnarray|equation|multline)\*?\}")
UNKNOWN_COMMAND = re.compile(r"\\[A-Za-z]")
ATTRIBUTES = {"stretchy", "fence", "form", "mathvariant", "separator", "accent", "notation", "width"}
TAGS = {
    "math", "semantics", "annotation", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot",
    "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd",
    "mstyle", "mpadded", "mphantom", "menclose", "merror", "none",
}  # fmt: skip


@lru_cache(maxsize=2_000)
def formula(latex: str, *, is_block: bool) -> str:
    """The formula as HTML; its source goes along, so that no character is lost to who copies it. To be sanitised."""
    try:
        if len(latex) > LONGEST:
            return as_written(latex)
        math = convert_to_element(supported(latex), display="block" if is_block else "inline")
        return with_source(math, latex)
    except NOT_LATEX:
        return as_written(latex)


def as_written(latex: str) -> str:
    return f'<code class="formula" dir="ltr">{escapeHtml(latex)}</code>'


def supported(latex: str) -> str:
    """The environments under the name that the converter knows; lines without one are put into it."""
    named = ELSEWHERE_CALLED.sub(r"\\\1{split}", latex)
    if r"\\" in named and r"\begin" not in named:
        return rf"\begin{{split}}{named}\end{{split}}"
    return named


def with_source(math: ElementTree.Element, latex: str) -> str:
    for element in math.iter():
        element.text = unescape(element.text) if element.text else element.text
        if UNKNOWN_COMMAND.match(element.text or ""):
            raise ValueError(element.text)
        alignment = element.get("columnalign")
        element.attrib = {name: value for name, value in element.attrib.items() if name in ATTRIBUTES | {"display"}}
        if alignment in {"left", "right"}:
            element.set("class", f"align-{alignment}")
    math.set("dir", "ltr")
    shown = list(math)
    for child in shown:
        math.remove(child)
    semantics = ElementTree.SubElement(math, "semantics")
    semantics.extend(shown)
    ElementTree.SubElement(semantics, "annotation", encoding="application/x-tex").text = latex
    return ElementTree.tostring(math, encoding="unicode")
