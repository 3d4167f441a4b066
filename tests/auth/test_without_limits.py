"""Where the environment has no rate limits, nobody waits."""

from tests.auth.conftest import Browser


def test_the_test_environment_has_no_limits(guest: Browser) -> None:
    answers = {guest.sign_in("ada", f"a guess number {n}").status_code for n in range(15)}
    assert answers == {400}
