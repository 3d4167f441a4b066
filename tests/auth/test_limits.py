"""Rate limits on what can be guessed or flooded: on in production, off where the environment says so."""

from collections.abc import Callable

import pytest

from tests.auth.conftest import Browser


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RATELIMIT_ENABLED": "1"}


def test_who_signs_in_rightly_is_not_held_up(new_browser: Callable[[], Browser], signed_in: Callable) -> None:
    signed_in("ada")
    assert {new_browser().sign_in("ada").status_code for _ in range(12)} == {302}


def test_sign_ups_from_one_place_are_bounded(new_browser: Callable[[], Browser]) -> None:
    answers = [new_browser().sign_up(f"person{n}") for n in range(21)]
    assert [answer.status_code for answer in answers] == [302] * 20 + [429]


def test_mails_to_one_mailbox_are_bounded_and_programs_told_in_their_own_way(guest: Browser) -> None:
    answers = [guest.send("/password/forgot", email="ada@example.com") for _ in range(5)]
    form = {"csrf_token": guest.token(), "email": "ada@example.com"}
    told = guest.client.post("/password/forgot", data=form, headers={"Accept": "application/json"})
    assert [answer.status_code for answer in (*answers, told)] == [303] * 5 + [429]
    assert (told.content_type, told.json["code"]) == ("application/problem+json", "rate_limited")
