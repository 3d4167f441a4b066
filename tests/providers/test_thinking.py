"""Thinking that a model writes as text: taken out of what is sent and titled, folded on the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.thinking import split_thinking, without_thinking
from app.web.answer_html import AnswerRenderer, render_answer

WRITTEN = [
    ("<think>\nHm.\n</think>\n\nHello!", ("Hm.", "Hello!")),
    ("<think>Hm.</think>Hello!", ("Hm.", "Hello!")),
    ("  <thinking>Hm.</thinking>\nHello!", ("Hm.", "Hello!")),
    ("<thought>Hm.</thought>Hello!", ("Hm.", "Hello!")),
    ("[THINK]Hm.[/THINK]Hello!", ("Hm.", "Hello!")),
    ("<seed:think>Hm.</seed:think>Hello!", ("Hm.", "Hello!")),
    ("<mm:think>It writes </think>.</mm:think>\n\nHello!", ("It writes </think>.", "Hello!")),
    ("<Reasoning>Hm.</Reasoning>Hello!", ("Hm.", "Hello!")),
    ("◁think▷Hm.◁/think▷Hello!", ("Hm.", "Hello!")),
    ("<|START_THINKING|>Hm.<|END_THINKING|>Hello!", ("Hm.", "Hello!")),
    ("<|channel>thought\nHm.<channel|>Hello!", ("Hm.", "Hello!")),
    (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello!",
        ("Hm.<|end|>", "Hello!"),
    ),
    ("<thinker> is a tag of mine.", ("", "<thinker> is a tag of mine.")),
    ("Hm.\n</think>\n\nHello!", ("Hm.", "Hello!")),
    ("<think>\n\n</think>\n\nHello!", ("", "Hello!")),
    ("<think>\nstill at it", ("still at it", "")),
    ("Hello!", ("", "Hello!")),
    ("Write `<think>` and `</think>` around it.", ("", "Write `<think>` and `</think>` around it.")),
    ("", ("", "")),
]


@pytest.mark.parametrize(("text", "parts"), WRITTEN)
def test_thinking_and_answer_are_told_apart(text: str, parts: tuple[str, str]) -> None:
    assert split_thinking(text) == parts


@given(st.text())
def test_text_without_marks_is_left_as_it_is(text: str) -> None:
    assert without_thinking(f"x{text.replace('<', '').replace('[', '')}").startswith("x")


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("text", "parts"), WRITTEN)
def test_a_streamed_answer_ends_as_the_whole_is_shown(text: str, parts: tuple[str, str], size: int) -> None:
    renderer, blocks = AnswerRenderer(), dict[int, str]()
    for start in range(0, len(text), size):
        blocks.update(renderer.feed(text[start : start + size]))
    blocks.update(renderer.finish())

    assert "".join(blocks[index] for index in sorted(blocks)) == render_answer(text)


def test_what_is_thought_is_folded_and_sanitised() -> None:
    shown = render_answer("<think><script>alert(1)</script> **so**</think>Hello")

    assert shown.startswith('<details class="thoughts"><summary>Thinking</summary>')
    assert "<script>" not in shown
    assert shown.endswith('<p dir="auto">Hello</p>\n')
