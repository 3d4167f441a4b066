"""Events that are passed on: halves of a character come together, NULs go, all else is as it was."""

from typing import Any

import pytest

from app.providers.text_cleaning import EventCleaner


def event(text: str) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": {"content": text}}], "size": [1.5, None, True]}


def test_a_clean_event_is_passed_on_as_it_is() -> None:
    whole = event("wörd 😀")
    assert EventCleaner().clean(whole) is whole


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (["a\ud83d", "\ude00b", "c"], ["a", "😀b", "c"]),  # waits for its other half
        (["a\ud83d", "b", "c\0"], ["a", "\ufffdb", "c"]),  # stays alone and is replaced
    ],
)
def test_half_a_character_is_never_passed_on(pieces: list[str], told: list[str]) -> None:
    cleaner = EventCleaner()
    assert [cleaner.clean(event(piece)) for piece in pieces] == list(map(event, told))
