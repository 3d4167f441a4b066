"""Events that are passed on: halves of a character come together, NULs go, all else is as it was."""

from typing import Any

from app.providers.text_cleaning import EventCleaner


def event(text: str) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": {"content": text}}], "size": [1.5, None, True]}


def test_a_clean_event_is_passed_on_as_it_is() -> None:
    whole = event("wörd 😀")
    assert EventCleaner().clean(whole) is whole


def test_half_a_character_waits_for_its_other_half() -> None:
    cleaner = EventCleaner()
    assert [cleaner.clean(event(text)) for text in ("a\ud83d", "\ude00b", "c")] == [
        event("a"),
        event("😀b"),
        event("c"),
    ]


def test_half_a_character_that_stays_alone_is_replaced() -> None:
    cleaner = EventCleaner()
    assert [cleaner.clean(event(text)) for text in ("a\ud83d", "b", "c\0")] == [
        event("a"),
        event("\ufffdb"),
        event("c"),
    ]
