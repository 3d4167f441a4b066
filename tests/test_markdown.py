"""Markdown: what attacks comes out dead, and an answer that streams ends as the whole would."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from itertools import count
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.formulas import TAGS as MATH_TAGS
from app.web.markdown import Blocks, render
from app.web.markdown_stream import StreamRenderer
from tests.support.hostile_markdown import attacks

ATTACKS = attacks()
HARMLESS = {
    *("p", "br", "hr", "em", "strong", "s", "blockquote", "ul", "ol", "li", "a", "pre", "code", "span"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "div"),
    *("sub", "sup", "kbd", *MATH_TAGS),
}
PAGE_CLASSES = {"flash", "balance-chip", "button", "notice", "message"}
ATTRIBUTES = {"class", "href", "rel", "target", "start", "tabindex", "dir", "role", "aria-label"}
ATTRIBUTES |= {"display", "encoding", "stretchy", "fence", "form", "mathvariant", "width"}
ANSWER = """# Sizes

An *answer* with **weight**,
a [link](https://example.com/a_(b)) and https://example.com/bare.

| model | price |
|:------|------:|
| small | 0.15  |
| large | 10    |

- one
- two

  with a paragraph

  ```python
  def f(x: int) -> str:
      return "``"
  ```
- [x] done

1. first
1) other list

> quoted
lazily

~~~
an open fence

# not a heading
~~~

Setext
======

    indented code

    goes on

***
![picture](https://example.com/p.png)
The end `with code`
"""
PIECES = st.lists(
    st.sampled_from(
        [
            *("a", "b ", " ", "    ", "\n", "\n\n", "\r\n", "\r", "\t", "- ", "* ", "1. ", "2) ", "> ", "# "),
            *("```", "~~~", "``", "`", "|", "|-|", "---", "===", "***", "**", "_", "~~", "[", "](", ")", "<"),
            *("]: /x", "http://a.example", "é", "\x00", "\ufeff", "\u2028", "&amp;", "\\", "!", "[x] "),
            *("\v", "\f", "。", "开"),
            *("$$", "$", "\\[", "\\]", "\\(", "\\)", "\n$$\n", "<br>", "<sub>", "</sub>", "\\\\"),
        ]
    ),
    max_size=40,
)


class Nodes(HTMLParser):
    """The elements of a text, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.result: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.result.append((tag, dict(attrs)))


def streamed(pieces: list[str]) -> str:
    """What is on the page after these pieces, each of them rendered as it comes."""
    renderer, page = StreamRenderer(interval=0, clock=ticking()), {}
    for piece in pieces:
        page.update(renderer.feed(piece))
    page.update(renderer.finish())
    return "".join(page[index] for index in sorted(page))


def ticking():
    ticks = count(1)
    return lambda: next(ticks) * 10.0


def stream(renderer: StreamRenderer, pieces: list[str]) -> Iterator[tuple[int, str]]:
    for piece in pieces:
        yield from renderer.feed(piece)


def test_the_corpus_has_at_least_a_hundred_attacks() -> None:
    assert len(set(ATTACKS)) >= 100


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_comes_out_dead_streamed_or_whole(attack: str) -> None:
    html = render(attack)
    for tag, attributes in Nodes(html).result:
        assert tag in HARMLESS
        assert set(attributes) <= ATTRIBUTES
        assert PAGE_CLASSES.isdisjoint((attributes.get("class") or "").split())
        if tag == "a" and "href" in attributes:
            assert urlsplit(attributes["href"] or "").scheme in {"http", "https", "mailto"}
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"
    assert streamed(list(attack)) == html


def test_a_picture_becomes_a_link() -> None:
    html = render("![a cat](https://example.com/cat.png)")
    assert '<a class="image-link" href="https://example.com/cat.png"' in html
    assert ">a cat</a>" in html


def test_a_picture_in_a_link_is_the_text_of_that_link() -> None:
    html = render("[![a cat](https://example.com/cat.png)](https://example.com)")
    assert html.count("<a ") == 1
    assert 'href="https://example.com"' in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("* **开源：**代码是公开的", "<strong>开源：</strong>代码"),  # noqa: RUF001
        ("他说**“你好”**然后", "他说<strong>“你好”</strong>然后"),
        ("**bold**text, a_b_c", "<strong>bold</strong>text, a_b_c"),
        ("2*3*4 and 2**8**2", "2*3*4 and 2**8**2"),
        (r"\( \ce{2H2 + O2} \)", r"\ce{2H2 + O2}"),
        ("| نام | سن |\n|-|-|\n| علی | 30 |", '<table dir="auto">\n<thead>\n<tr>\n<th>نام'),
        ("| | a |\n|-|-|\n| b | 1 |", '<td dir="auto"></td>\n<th>a</th>'),
        ("H<sub>2</sub>O, x<SUP>2</SUP>", "H<sub>2</sub>O, x<sup>2</sup>"),
        ("| a |\n|-|\n| one<br>two |", "one<br>\ntwo"),
        ("line one\nline two", "line one<br>\nline two"),
        ("<b onclick=x>text</b>", "&lt;b onclick=x&gt;text&lt;/b&gt;"),
        ("$5 and $10, or 5$ or $7 or 10$", "$5 and $10, or 5$ or $7 or 10$"),
        ("```python\ndef f(): ...\n```", '<span class="k">def</span>'),
        ("```nonesuch\na < b\n```", "<code>a &lt; b\n</code>"),
        ("see https://example.com/x.", 'href="https://example.com/x"'),
        ("- [x] done", '<li dir="auto" class="task">☑ done</li>'),
        ("`$a$` and $$unclosed", "<code>$a$</code> and $$unclosed"),
        ("שלום\n\nhello", '<p dir="auto">שלום</p>\n<p dir="auto">hello</p>'),
    ],
)
def test_what_models_write_is_shown_as_they_mean_it(text: str, shown: str) -> None:
    assert shown in render(text)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("见https://example.com/a，然后", ["https://example.com/a"]),  # noqa: RUF001
        ("(https://c.com/x_(y)) **https://d.com**.", ["https://c.com/x_(y)", "https://d.com"]),
        ("“https://e.com/ä?q=1&r=2”, https://f.com!", ["https://e.com/ä?q=1&r=2", "https://f.com"]),
    ],
)
def test_a_bare_link_ends_where_it_ends(text: str, links: list[str]) -> None:
    assert [unescape(link) for link in re.findall(r"<a [^>]*>(.*?)</a>", render(text))] == links


@pytest.mark.parametrize(
    ("text", "latex", "drawn"),
    [
        (r"\( E = mc^2 \)", "E = mc^2", "<msup><mi>c</mi><mn>2</mn></msup>"),
        (r"\[ \frac{a}{b} \]", r"\frac{a}{b}", "<mfrac>"),
        (r"$$ a \\ b $$", r"a \\ b", "<mtr>"),
        (
            "$$\n\\begin{aligned}\n- x &= b\n\\end{aligned}\n$$",
            "\\begin{aligned}\n- x &= b\n\\end{aligned}",
            "<mtable>",
        ),
        (r"$\text{<script>a & b</script>}$", r"\text{<script>a & b</script>}", "&lt;script&gt;"),
        (r"\( \left( x \)", r"\left( x", "<code>"),
        ("$" + "x" * 3000 + "$", "x" * 3000, "<code>"),
    ],
)
def test_a_formula_is_drawn_and_keeps_every_character(text: str, latex: str, drawn: str) -> None:
    html = render(text)
    assert drawn in html.replace(' class="formula" dir="ltr"', "")
    assert latex in unescape(html)
    assert streamed(list(text)) == html


def test_very_long_code_is_shown_without_colours() -> None:
    html = render("```python\n" + "x = 1\n" * 10_000 + "```")
    assert html.count("x = 1\n") == 10_000


def test_tables_scroll_and_keep_their_alignment() -> None:
    html = render("|a|b|\n|-|-:|\n|1|2|")
    assert '<div class="table-scroll"' in html
    assert '<td dir="auto" class="align-right">2</td>' in html


def test_a_link_within_the_site_is_only_text() -> None:
    assert "<a" not in render("[sign out](/logout)")


def test_an_answer_cut_anywhere_ends_as_the_whole() -> None:
    whole = render(ANSWER)
    others = [cut for cut in range(1, len(ANSWER), 3) if streamed([ANSWER[:cut], ANSWER[cut:]]) != whole]
    assert others == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_an_answer_in_pieces_of_any_size_ends_as_the_whole(size: int) -> None:
    pieces = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
    assert streamed(pieces) == render(ANSWER)


@given(PIECES)
def test_whatever_is_streamed_ends_as_the_whole(pieces: list[str]) -> None:
    assert streamed(pieces) == render("".join(pieces))


@given(PIECES)
def test_blocks_rendered_one_by_one_give_the_whole(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert "".join(map(render, Blocks.of(text).sources)) == render(text)


def test_the_first_words_are_shown_at_once() -> None:
    assert StreamRenderer().feed("Hello") == [(0, '<p dir="auto">Hello</p>\n')]


def test_words_within_the_interval_wait_for_the_next_look() -> None:
    moments = iter([1.0, 1.001, 1.05, 1.2, 1.2])
    renderer = StreamRenderer(clock=lambda: next(moments))
    renderer.feed("Hello")
    assert renderer.feed(" you") == []
    assert renderer.feed(" all") == [(0, '<p dir="auto">Hello you all</p>\n')]


def test_a_block_that_was_dear_to_render_waits_longer() -> None:
    moments = iter([1.0, 1.02, 1.2, 1.9, 2.1, 2.1])
    renderer = StreamRenderer(clock=lambda: next(moments))
    renderer.feed("Hello")
    assert [renderer.feed(" you"), renderer.feed(" all")] == [[], []]
    assert renderer.feed("!") == [(0, '<p dir="auto">Hello you all!</p>\n')]


def test_a_closed_block_is_not_sent_again() -> None:
    renderer = StreamRenderer(interval=0, clock=ticking())
    changes = list(stream(renderer, ["One\n\n", "Two\n\n", "Three and", " more"]))
    assert [index for index, _ in changes] == [0, 1, 2, 2]


@pytest.mark.parametrize("block", ["```\nx\n```\n", "# x\n\n", "|a|\n|-|\n\n", "> x\n\n", "---\n\n"])
def test_a_block_that_is_over_is_not_rendered_with_the_next_line(block: str) -> None:
    renderer = StreamRenderer(interval=0, clock=ticking())
    renderer.feed(block)
    assert renderer.feed("text") == [(1, '<p dir="auto">text</p>\n')]


def test_a_block_that_has_not_changed_is_not_sent_again() -> None:
    renderer = StreamRenderer(interval=0, clock=ticking())
    renderer.feed("One")
    assert renderer.feed("\n") == []
