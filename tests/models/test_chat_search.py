"""What is shown around the words that a search found."""

import pytest

from app.models.chat.search import around


@pytest.mark.parametrize(
    ("content", "typed", "excerpt"),
    [
        ("A Zebra\ncrossing", "zebra", ("A ", "Zebra", " crossing")),
        ("Der Maßstab ist neu", "MASSSTAB", ("Der ", "Maßstab", " ist neu")),
        ("cafe\u0301 noir", "CAFÉ", ("", "café", " noir")),
        ("x" * 50 + "yes" + "z" * 100, "yes", ("…" + "x" * 30, "yes", "z" * 60 + "…")),
        ("cut words before " + "x" * 20 + " yes", "yes", ("…before " + "x" * 20 + " ", "yes", "")),
        ("## Why\n| **so** | `gates` |", "gates", ("Why so ", "gates", "")),
        ("a ** b and more", "** b", ("a ", "** b", " and more")),
        ("two\nlines", "unfound", ("", "", "two lines")),
    ],
)
def test_the_words_are_shown_as_they_were_written(content: str, typed: str, excerpt: tuple[str, str, str]) -> None:
    assert around(content, typed) == excerpt
