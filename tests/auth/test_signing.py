"""Sign-up, sign-in, sign-out."""

from collections.abc import Callable

from tests.auth.conftest import Browser


def test_signing_up_leads_to_the_chat_signed_in(guest: Browser) -> None:
    answer = guest.sign_up("ada")
    assert (answer.status_code, answer.location, guest.is_signed_in) == (302, "/chat", True)
