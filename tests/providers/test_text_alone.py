"""An event that holds text alone is read at a glance; whatever may stand beside the text is looked at."""

from typing import Any

import pytest

from app.providers.openai_choices import text_alone


def event(
    *, delta: dict[str, Any] | None = None, choice: dict[str, Any] | None = None, **beside: Any
) -> dict[str, Any]:
    one = {"index": 0, "delta": {"role": "assistant", "content": "word", **(delta or {})}, "finish_reason": None}
    return {"id": "1", "model": "m", "usage": None, "choices": [{**one, **(choice or {})}], **beside}


@pytest.mark.parametrize("beside", [{}, {"obfuscation": "x"}, {"delta": {"refusal": None, "tool_calls": []}}])
def test_text_alone_is_its_text(beside: dict[str, Any]) -> None:
    assert text_alone(event(**beside)) == "word"


@pytest.mark.parametrize(
    "beside",
    [
        {"usage": {"prompt_tokens": 1}},
        {"timings": {"prompt_n": 1}},
        {"x_groq": {"error": "it broke"}},
        {"choices": []},
        {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]},
        {"choice": {"index": 1}},
        {"choice": {"finish_reason": "stop"}},
        {"choice": {"usage": {"prompt_tokens": 1}}},
        {"choice": {"error": {"code": 502}}},
        {"choice": {"delta": "word"}},
        {"delta": {"content": [{"type": "text", "text": "word"}]}},
        {"delta": {"refusal": "No."}},
        {"delta": {"reasoning_content": "so"}},
        {"delta": {"thinking": "so"}},
        {"delta": {"extra_content": {"google": {"thought": True}}}},
    ],
)
def test_what_stands_beside_text_is_looked_at(beside: dict[str, Any]) -> None:
    assert text_alone(event(**beside)) is None
