"""What models write beyond CommonMark: formulas, bare links, emphasis beside CJK, a few tags, directions."""

import re
import time
import unicodedata
from functools import partial
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

OPENERS = {"$$": "$$", "\\[": "\\]"}
MATH_LINE = re.compile(r" {0,3}(\$\$|\\\[)")
INLINE_MATH = (
    (re.compile(r"\\\((.{1,2000}?)\\\)", re.DOTALL), False),
    (re.compile(r"\\\[(.{1,2000}?)\\\]", re.DOTALL), True),
    (re.compile(r"\$\$([^$]{1,2000})\$\$", re.DOTALL), True),
    (re.compile(r"\$(?![\s$])([^$\n`]*?[^\s$\\`])\$(?![\d\w])"), False),
)
AMOUNT = re.compile(r"[\d.,]+(\s|$)")
"""What begins so between two dollar signs is a sum of money: "$5 or 10$"."""
TAG = re.compile(r"<br\s*/?>|<(sub|sup|kbd)>([^<\n]{1,200})</\1>", re.IGNORECASE)
SCHEME = re.compile(r"https?$", re.IGNORECASE)
ADDRESS = re.compile(
    r"https?://[^\s<>\"`\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\u2018-\u201d\u2026]+",
    re.I,
)
AFTER_A_LINK = "?!.,:;*_~'[]\\"
DIRECTED = {"paragraph_open", "heading_open", "bullet_list_open", "ordered_list_open", "list_item_open",
            "blockquote_open", "table_open", "td_open"}  # fmt: skip
CJK = re.compile(
    r"[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff\u2018-\u201d]"
)


class TooDear(Exception):
    """The time of the processor that this text has is over."""


def bound(parser: MarkdownIt) -> None:
    """Each step of the parser looks at the clock: TooDear once the thread's time of the processor is `env["end"]`."""
    parser.block.ruler.before("table", "time", check_time, {"alt": INTERRUPTS})
    parser.inline.ruler.before("text", "time", check_time)


def check_time(state: Any, *_where: Any) -> bool:
    """A rule that never matches."""
    if time.thread_time() > state.env.get("end", float("inf")):
        raise TooDear
    return False


INTERRUPTS = ["paragraph", "blockquote", "list", "table"]


def add_rules(parser: MarkdownIt) -> None:
    bound(parser)
    parser.block.ruler.before("fence", "math_block", math_block, {"alt": INTERRUPTS})
    parser.inline.add_terminator_char("$")
    parser.inline.ruler.before("escape", "math", math_inline)
    parser.inline.ruler.before("html_inline", "known_tag", known_tag)
    parser.inline.ruler.before("gfm_autolink_protocol", "bare_link", partial(bare_link, parser))
    parser.inline.ruler.at("emphasis", emphasis)
    parser.core.ruler.push("empty_heads", unhead_empty_cells)
    parser.core.ruler.push("directions", mark_directions)


def math_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    r"""`$$ ... $$` or `\[ ... \]` on lines of their own, without an empty one; what is not closed is text."""
    if state.is_code_block(first):
        return False
    start = state.bMarks[first] + state.tShift[first]
    closer = OPENERS.get(state.src[start : start + 2])
    if closer is None:
        return False
    for line in range(first, last):
        begin, end = state.bMarks[line] + state.tShift[line], state.eMarks[line]
        if line > first and (begin >= end or state.sCount[line] < state.blkIndent):
            return False
        text = state.src[begin:end].rstrip()
        if text.endswith(closer) and (line > first or len(text) >= 4):
            break
    else:
        return False
    if silent:
        return True
    content = state.getLines(first, line + 1, state.sCount[first], keepLastLF=False).strip()[2:-2]
    token = state.push("math_block", "", 0)
    token.content, token.map, token.block = content.strip(), [first, line + 1], True
    state.line = line + 1
    return True


def open_formula(text: str) -> int | None:
    """The line on which a formula begins that later lines may yet close; None where there is none."""
    opened: int | None = None
    closer, lines = "", text.split("\n")
    for number, line in enumerate(lines, 1 - len(lines)):
        if not line.strip(" \t>"):
            opened = opened if number == 0 else None
        elif opened is not None:
            opened = None if line.rstrip().endswith(closer) else opened
        elif match := MATH_LINE.match(line):
            closer = OPENERS[match[1]]
            is_whole = line.rstrip().endswith(closer) and len(line.strip()) >= 4
            opened = None if is_whole else number
    return opened


def math_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "\\$":
        return False
    for pattern, is_block in INLINE_MATH:
        match = pattern.match(state.src, state.pos, state.posMax)
        if match and match[1].strip() and not (match[0][0] == "$" != match[0][1] and AMOUNT.match(match[1])):
            if not silent:
                token = state.push("math_block" if is_block else "math_inline", "", 0)
                token.content = match[1].strip()
            state.pos = match.end()
            return True
    return False


def known_tag(state: StateInline, silent: bool) -> bool:
    """`<br>`, and `<sub>`, `<sup>`, `<kbd>` around plain text; every other tag stays text."""
    match = TAG.match(state.src, state.pos, state.posMax) if state.src[state.pos] == "<" else None
    if match is None:
        return False
    if not silent and match[1]:
        tag = match[1].lower()
        state.push(f"{tag}_open", tag, 1)
        state.push("text", "", 0).content = match[2]
        state.push(f"{tag}_close", tag, -1)
    elif not silent:
        state.push("hardbreak", "br", 0)
    state.pos = match.end()
    return True


def bare_link(parser: MarkdownIt, state: StateInline, silent: bool) -> bool:
    """A bare address, from its scheme to where it ends: before punctuation that closes a sentence or is CJK."""
    near = state.pending[-6:]
    scheme = SCHEME.search(near) if state.src[state.pos] == ":" and not state.linkLevel else None
    if scheme is None or silent:
        return False
    before = near[: scheme.start()][-1:]
    match = ADDRESS.match(state.src, state.pos - len(scheme[0]), state.posMax)
    if match is None or (before.isalnum() and before.isascii()):
        return False
    address = trimmed(match[0])
    href = parser.normalizeLink(address)
    if len(address) <= len(scheme[0]) + 3 or not parser.validateLink(href):
        return False
    state.pending = state.pending[: -len(scheme[0])]
    token = state.push("link_open", "a", 1)
    token.attrs, token.markup, token.info = {"href": href}, "autolink", "auto"
    state.push("text", "", 0).content = address
    state.push("link_close", "a", -1)
    state.pos += len(address) - len(scheme[0])
    return True


def trimmed(address: str) -> str:
    """Without what ends the sentence around it; a closing bracket stays where the address opens one."""
    while address:
        is_closing = address[-1] == ")" and address.count(")") > address.count("(")
        if not is_closing and address[-1] not in AFTER_A_LINK:
            break
        address = address[:-1]
    return address


def emphasis(state: StateInline, silent: bool) -> bool:
    """As CommonMark, but that punctuation beside a CJK letter does not stop emphasis, as in Chinese."""
    marker = state.src[state.pos]
    if silent or marker not in "_*":
        return False
    end = state.pos
    while end < state.posMax and state.src[end] == marker:
        end += 1
    can_open, can_close = flanks(state, end, marker)
    for _ in range(end - state.pos):
        state.push("text", "", 0).content = marker
        state.delimiters.append(Delimiter(ord(marker), end - state.pos, len(state.tokens) - 1, -1, can_open, can_close))
    state.pos = end
    return True


def flanks(state: StateInline, end: int, marker: str) -> tuple[bool, bool]:
    """Whether the run of markers before `end` may open and close emphasis."""
    before = state.src[state.pos - 1] if state.pos else " "
    after = state.src[end] if end < state.posMax else " "
    is_left = not is_space(after) and (not is_punctuation(after) or ends_word(before))
    is_right = not is_space(before) and (not is_punctuation(before) or ends_word(after))
    if marker == "*":
        is_times = before.isdigit() and after.isdigit()
        return is_left and not is_times, is_right and not is_times
    opens = is_left and (not is_right or is_punctuation(before))
    return opens, is_right and (not is_left or is_punctuation(after))


def ends_word(letter: str) -> bool:
    return is_space(letter) or is_punctuation(letter) or CJK.match(letter) is not None


def is_space(letter: str) -> bool:
    return isWhiteSpace(ord(letter))


def is_punctuation(letter: str) -> bool:
    return isMdAsciiPunct(ord(letter)) or isPunctChar(letter) or unicodedata.category(letter)[0] == "S"


def mark_directions(state: StateCore) -> None:
    """Each paragraph, list, heading and cell reads in the direction of its own first letter; a table in its head's."""
    for token in state.tokens:
        if token.type in DIRECTED:
            token.attrSet("dir", "auto")


def unhead_empty_cells(state: StateCore) -> None:
    """A cell without words, as above a table's own row names, is no heading."""
    for opening, inline, closing in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if opening.type == "th_open" and not inline.content:
            opening.tag = closing.tag = "td"
