"""What all providers share: bounds and estimates of tokens."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.base import TOKENS_PER_MESSAGE, Prompt, PromptMessage, TokenUsage, estimate_tokens


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


@pytest.mark.parametrize(
    ("text", "model", "tokens"),
    [
        ("12.5 13.5 " * 20, "", 120),
        ("12.5 13.5 " * 20, "qwen3-32b", 170),
        ("in 2024 and 2025", "qwen3-32b", 4),
        ("0123456789abcdef" * 4, "", 40),
        ("internationalisation-and-localisation", "", 10),
        (" " * 3200, "", 100),
        ("-" * 15, "", 4),
        ("if (a[i] == 0) {\n  b += c;\n}\n" * 10, "", 165),
        ("1. e4 e5 2. Nf3 Nc6 " * 10, "", 100),
        ("red\nsky\n" * 50, "", 150),
        ("ሰላም ነው " * 10, "", 105),
        ("ሰላም ነው " * 10, "gpt-4o", 105),
        ("д" * 100, "", 67),
        ("д" * 100, "gpt-5-mini", 34),
    ],
)
def test_what_counts_otherwise_than_letters_is_counted_apart(text: str, model: str, tokens: int) -> None:
    assert estimate_tokens(text, model) == tokens


@given(st.text(), st.sampled_from(["", "gpt-5", "qwen3", "gemini-2.5-pro", "claude-sonnet-4-5"]))
def test_no_family_counts_above_the_bytes(text: str, model: str) -> None:
    assert 0 <= estimate_tokens(text, model) <= len(text.encode("utf-8", "surrogatepass"))


@given(st.characters(codec="utf-8"))
def test_the_bound_is_the_longest_of_three_forms(letter: str) -> None:
    forms = (letter, normalize("NFC", letter), normalize("NFKC", letter))

    assert PromptMessage("user", letter).token_bound - TOKENS_PER_MESSAGE == max(len(form.encode()) for form in forms)


def test_letters_that_a_vocabulary_takes_apart_are_bounded() -> None:
    """U+FDFA is 3 bytes, and 33 in NFKC; U+0958 is 3 bytes, and 6 in NFC."""
    assert [PromptMessage("user", letter).token_bound for letter in "\ufdfa\u0958"] == [33 + 16, 6 + 16]
