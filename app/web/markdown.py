"""Markdown becomes sanitised HTML here: whole, or its blocks one by one."""

import math
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from app.web.formulas import TAGS as MATH_TAGS
from app.web.formulas import formula
from app.web.highlighting import CLASSES, highlighted
from app.web.markdown_rules import TooDear, add_rules, open_formula

LINK = re.compile(r"(https?://|mailto:)[^\s]", re.IGNORECASE)
NEWLINE = re.compile(r"\r\n?")
LINE = re.compile(r"[^\n]*\n|[^\n]+")
TASK = re.compile(r"\[([ xX])\] ")
ENDED_BY_AN_EMPTY_LINE = {"paragraph_open", "heading_open", "hr", "table_open", "blockquote_open"}
LONGEST_BLOCK, LONGEST_TEXT = 60_000, 100_000
"""Characters; what is longer, or beyond, stays plain."""

SECONDS = 1.0
"""Of processor time for one text; what comes after it stays plain."""

OWN_IMAGE = re.compile(r"/api/attachments/[0-9]{1,18}")
OWN_SPAN = re.compile(r'<span class="own-image">([0-9]{1,18}) ([^<]*)</span>')

TEXT_TAGS = {
    "p", "br", "hr", "em", "strong", "s", "blockquote", "ul", "ol", "li", "a", "pre", "code", "span", "div",
    "sub", "sup", "kbd",
}  # fmt: skip
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
DIRECTED_TAGS = {"p", "ul", "ol", "li", "blockquote", "table", "td"} | HEADINGS
TABLE_TAGS = {"table", "thead", "tbody", "tr", "th", "td"}
ALIGNMENTS = {"align-left", "align-center", "align-right"}

SANITISER = nh3.Cleaner(
    tags=TEXT_TAGS | HEADINGS | TABLE_TAGS | MATH_TAGS,
    clean_content_tags={"script", "style"},
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}, "annotation": {"encoding"}},
    tag_attribute_values={
        **{tag: {"dir": {"auto"}} for tag in DIRECTED_TAGS},
        "math": {"dir": {"ltr"}, "display": {"block", "inline"}},
        "mo": {name: {"true", "false", "prefix", "postfix", "infix"} for name in ("stretchy", "fence", "form")},
        "mi": {"mathvariant": {"normal"}},
        "mspace": {"width": {"1em", "2em", "0.2778em", "0.167em", "0.2222em"}},
        "pre": {"tabindex": {"0"}, "dir": {"ltr"}},
        "div": {"tabindex": {"0"}, "role": {"group"}, "aria-label": {"Table"}},
        "code": {"dir": {"ltr"}},
    },
    set_tag_attribute_values={"a": {"target": "_blank"}},
    allowed_classes={
        "span": CLASSES | {"code-language", "task-box", "own-image"},
        "code": {"formula"},
        "mtd": ALIGNMENTS,
        "div": {"code-block", "code-head", "table-scroll", "formula"},
        "a": {"image-link"},
        "li": {"task"},
        "th": ALIGNMENTS,
        "td": ALIGNMENTS,
    },
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)


class Renderer(RendererHTML):
    """Code with highlighting, images as links, tables that scroll, and no style attributes."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        text = tokens[idx].info.split()
        language = text[0] if text else ""
        label = f'<span class="code-language">{escapeHtml(language)}</span>'
        code = highlighted(tokens[idx].content, language)
        head = f'<div class="code-head">{label}</div>'
        return f'<div class="code-block">{head}<pre dir="ltr" tabindex="0"><code>{code}</code></pre></div>\n'

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.fence(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A link to the picture: nothing is loaded from elsewhere. One of our own files is shown."""
        source = str(tokens[idx].attrs["src"])
        if OWN_IMAGE.fullmatch(source) and not is_in_link(tokens, idx):
            text = self.renderInlineAsText(tokens[idx].children or [], options, env)
            return f'<span class="own-image">{source.rpartition("/")[2]} {escapeHtml(text)}</span>'
        text = self.renderInlineAsText(tokens[idx].children or [], options, env) or urlsplit(source).netloc
        if is_in_link(tokens, idx):
            return escapeHtml(text)
        return f'<a class="image-link" href="{escapeHtml(source)}">{escapeHtml(text or "image")}</a>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-scroll" role="group" aria-label="Table" tabindex="0"><table dir="auto">\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        style = str(tokens[idx].attrs.get("style", ""))
        alignment = style.removeprefix("text-align:")
        aligned = f' class="align-{alignment}"' if alignment else ""
        return f'<{tokens[idx].tag} dir="auto"{aligned}>'

    td_open = th_open

    def math_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return formula(tokens[idx].content, is_block=False)

    def math_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        html = formula(tokens[idx].content, is_block=True)
        return f'<div class="formula">{html}</div>\n' if tokens[idx].block else html


def is_in_link(tokens: Sequence[Token], idx: int) -> bool:
    return sum(token.nesting for token in tokens[:idx] if token.type in {"link_open", "link_close"}) > 0


def mark_tasks(state: StateCore) -> None:
    """`- [ ]` and `- [x]` become boxes."""
    for position in range(2, len(state.tokens)):
        item, inline = state.tokens[position - 2], state.tokens[position]
        if item.type != "list_item_open" or inline.type != "inline" or not inline.children:
            continue
        text = inline.children[0]
        match = TASK.match(text.content) if text.type == "text" else None
        if match:
            text.content = text.content[match.end() :]
            box = Token("text", "", 0, content="☐ " if match[1] == " " else "☑ ")
            inline.children.insert(0, box)
            item.attrSet("class", "task")


def made_parser() -> MarkdownIt:
    """Tables, strikethrough, bare links, tasks, formulas, single line breaks.

    No HTML, and no link definitions: a later line never changes
    an earlier block, so that blocks can be shown for good as soon as the next one has begun."""
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=Renderer)
    parser.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
    parser.use(gfm_autolink_plugin)
    add_rules(parser)
    parser.disable("gfm_autolink_protocol")
    parser.core.ruler.push("tasks", mark_tasks)
    parser.validateLink = lambda url: bool(LINK.match(url) or OWN_IMAGE.fullmatch(url))  # type: ignore[method-assign]
    return parser


PARSER = made_parser()


def render(text: str, seconds: float = SECONDS) -> str:
    """Markdown as HTML that is safe to put into a page; what would take longer than `seconds` is plain text."""
    end = time.thread_time() + seconds
    if len(text) <= LONGEST_BLOCK:
        with suppress(TooDear):
            return html_of(text, end - seconds / 2)
    cut = text.rfind("\n", 0, LONGEST_TEXT) + 1 if len(text) > LONGEST_TEXT else len(text)
    blocks = "".join(rendered(source, end) for source in Blocks.of(text[:cut], end).sources)
    return blocks + (plain(text[cut:]) if text[cut:] else "")


def html_of(text: str, end: float) -> str:
    """TooDear once the thread's time of the processor is `end`."""
    return clean(PARSER.render(text, {"end": end}))


def clean(html: str) -> str:
    """What is safe of it, with images that are files of ours: a number is all that comes from the text."""
    return OWN_SPAN.sub(own_image, SANITISER.clean(html))


def own_image(span: re.Match[str]) -> str:
    alt = span[2].replace('"', "&quot;")
    return f'<img class="own-image" src="/api/attachments/{span[1]}" alt="{alt}" loading="lazy">'


def rendered(block: str, end: float) -> str:
    if len(block) <= LONGEST_BLOCK:
        with suppress(TooDear):
            return html_of(block, end)
    return plain(block)


def plain(block: str) -> str:
    return f'<pre class="plain">{escapeHtml(block)}</pre>'


@dataclass(frozen=True, slots=True)
class Blocks:
    """The sources of the top-level blocks of a text: rendered one by one they give what the whole gives.

    `closed`: how many of them no later line can change.
    """

    sources: list[str]
    closed: int

    @classmethod
    def of(cls, text: str, end: float = math.inf) -> "Blocks":
        """The text is one open block where the time ends before they are known."""
        text = NEWLINE.sub("\n", text)
        tokens: list[Token] = []
        try:
            PARSER.block.parse(text, PARSER, {"end": end}, tokens)
        except TooDear:
            return cls([text], 0)
        tops = [token for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        lines = LINE.findall(text)
        starts = [token.map[0] for token in tops if token.map]
        bounds = zip(starts, [*starts[1:], len(lines)], strict=False)
        sources = ["".join(lines[here:there]) for here, there in bounds]
        whole = bool(tops) and text.endswith("\n") and is_closed(tops[-1], lines[-1])
        opened = open_formula(text)
        before = len(sources) if opened is None else sum(start <= opened for start in starts) - 1
        return cls(sources, max(0, min(before, len(sources) - (not whole))))


def is_closed(token: Token, last_line: str) -> bool:
    """Whether a block is over: a fence by its closing line, most others by an empty one. Lists may always go on."""
    if token.type == "fence" and token.map:
        return token.content.count("\n") == token.map[1] - token.map[0] - 2
    return token.type in ENDED_BY_AN_EMPTY_LINE and not last_line.strip(" \t\n")
