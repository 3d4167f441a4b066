"""Checkouts of an account are bounded, by whatever door, and limits hold without Redis. security.md 11."""

from collections.abc import Callable
from itertools import count
from types import SimpleNamespace

import pytest

from app.web import rate_limits
from tests.auth.conftest import Browser
from tests.conftest import nowhere

BOTH = pytest.mark.parametrize("environment", ["with Redis", "without Redis"], indirect=True)


@pytest.fixture
def environment(environment: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    away = {"REDIS_URL": nowhere()} if getattr(request, "param", "") == "without Redis" else {}
    return environment | {"RATELIMIT_ENABLED": "1"} | away


@BOTH
def test_six_checkouts_in_an_hour_are_one_too_many(signed_in: Callable[..., Browser]) -> None:
    ada = signed_in("ada")
    by_form = [ada.send("/billing/checkout", pack_id="1").status_code for _ in range(3)]
    headers = {"X-CSRFToken": ada.token()}
    by_json = [ada.client.post("/api/checkout", json={"pack_id": "1"}, headers=headers).status_code for _ in range(3)]
    assert [status == 429 for status in by_form + by_json] == [False] * 5 + [True]


def test_a_mailbox_that_is_guessed_at_has_to_wait(
    new_browser: Callable[[], Browser], signed_in: Callable[..., Browser]
) -> None:
    signed_in("ada")
    guest = new_browser()
    answers = [guest.sign_in("ada", f"a guess number {number}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15 * 60 + 1


@BOTH
def test_who_has_had_half_a_minute_of_the_processor_waits(
    signed_in: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look takes eight seconds here; the fourth uses up what is left, and others are let in."""
    ada, bob = signed_in("ada"), signed_in("bob")
    pages = [person.send("/documents").location for person in (ada, bob)]
    clock = count(step=8)
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(thread_time=lambda: next(clock)))
    answers = [ada.get(f"{pages[0]}/{page}") for page in ("preview", "export.docx", "export.md", "preview", "preview")]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert int(answers[-1].headers["Retry-After"]) == 60
    assert bob.get(f"{pages[1]}/preview").status_code == 200
