"""Rate limits on what can be guessed or flooded: on in production, off where the environment says so."""

from collections.abc import Callable

import pytest

from tests.auth.conftest import Browser


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RATELIMIT_ENABLED": "1"}


def test_a_mailbox_that_is_guessed_at_has_to_wait(guest: Browser, signed_in: Callable) -> None:
    signed_in("ada")
    answers = [guest.sign_in("ada", f"a guess number {n}") for n in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15 * 60 + 1


def test_other_spellings_of_the_mailbox_count_as_the_same(guest: Browser, signed_in: Callable) -> None:
    signed_in("ada")
    for n in range(10):
        guest.send("/login", email=f"Ada+{n}@example.com", password="a wrong password")
    assert guest.sign_in("ada").status_code == 429


def test_who_signs_in_rightly_is_not_held_up(new_browser: Callable[[], Browser], signed_in: Callable) -> None:
    signed_in("ada")
    assert {new_browser().sign_in("ada").status_code for _ in range(12)} == {302}


def test_sign_ups_from_one_place_are_bounded(new_browser: Callable[[], Browser]) -> None:
    answers = [new_browser().sign_up(f"person{n}") for n in range(21)]
    assert [answer.status_code for answer in answers] == [302] * 20 + [429]


def test_mails_to_one_mailbox_are_bounded(guest: Browser) -> None:
    answers = [guest.send("/password/forgot", email="ada@example.com") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [303] * 5 + [429]


def test_programs_are_told_in_their_own_way(guest: Browser) -> None:
    asked = {
        "data": {"csrf_token": guest.token(), "email": "ada@example.com"},
        "headers": {"Accept": "application/json"},
    }
    answers = [guest.client.post("/password/forgot", **asked) for _ in range(6)]
    assert (answers[-1].content_type, answers[-1].json["code"]) == (
        "application/problem+json",
        "rate_limited",
    )
