"""What all providers share: bounds and estimates of tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.base import Prompt, PromptMessage, TokenUsage, estimate_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("é", 1),
        ("日本", 2),
        ("😀", 2),
        ("abc日", 2),
        ("\ud83d", 1),
    ],
)
def test_text_is_counted_by_its_bytes(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text())
def test_an_estimate_is_never_above_the_bound(text: str) -> None:
    message = PromptMessage("user", text)

    assert estimate_tokens(text) <= message.token_bound <= Prompt("m", (message,), 1).input_token_bound


def test_all_kinds_of_input_make_up_the_input() -> None:
    usage = TokenUsage(uncached_input=1, cache_read=2, cache_write_5m=4, cache_write_1h=8, output=16)

    assert usage.input_tokens == 15
