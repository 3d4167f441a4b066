"""Sign-in by OpenID Connect, with a provider on loopback that speaks it whole: keys, PKCE, nonce."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests

from app.addresses import ConfigurationError
from app.config import from_environment
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.identity.user import User, UserSession
from devserver.ports import free_port
from tests.auth.conftest import Browser
from tests.support import Database, people
from tests.support.running_app import await_that

ADA = {"email": "Ada@example.com", "email_verified": True, "name": "Ada\n of www.example.com"}
OIDC = {"OIDC_CLIENT_ID": "tollgate", "OIDC_CLIENT_SECRET": "a secret", "OIDC_NAME": "Example ID"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    persons = [
        {"sub": "ada"} | ADA,
        {"sub": "same"} | ADA,
        {"sub": "bob", "email": "bob@example.com", "email_verified": False},
        {"sub": "nobody", "email_verified": True},
    ]
    port = free_port()
    claims = [word for person in persons for word in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *claims]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as provider:
        await_that(lambda: is_up(url), 30)
        yield url
        provider.terminate()


def is_up(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{url}/.well-known/openid-configuration", timeout=5).ok
    return False


@pytest.fixture
def environment(environment: dict[str, str], issuer: str) -> dict[str, str]:
    return environment | OIDC | {"OIDC_ISSUER": issuer}


def through(browser: Browser, subject: str, target: str = "") -> str:
    """Over to the provider, in as that person, and back: where the sign-in leads."""
    there = browser.get(f"/login/oidc?next={target}").location
    back = requests.post(there, data={"sub": subject}, allow_redirects=False, timeout=60).headers["Location"]
    return browser.get(f"/login/oidc/callback?{urlsplit(back).query}").location


def test_a_new_person_comes_in_confirmed_and_comes_back(
    guest: Browser, new_browser: Callable[[], Browser], session: Database, issuer: str
) -> None:
    assert "Continue with Example ID" in guest.get("/login").text
    assert through(guest, "ada", "/billing") == "/billing"
    assert guest.is_signed_in
    user = User.with_email("ada@example.com")
    assert (user.name, user.is_verified, user.oidc_subject) == ("", True, f"{issuer} ada")

    user.email = "ada@elsewhere.example"
    session.commit()
    other = new_browser()
    assert (through(other, "ada"), other.is_signed_in) == ("/chat", True)
    assert session.query(User).filter(User.oidc_subject.is_not(None)).count() == 1


def test_an_account_is_bound_only_by_an_address_that_both_sides_confirmed(
    guest: Browser, session: Database, issuer: str
) -> None:
    user = people.person("ada").memberships[0].user
    user.email_verified_at = None
    session.commit()
    for subject in ("ada", "bob", "nobody"):
        assert (through(guest, subject), guest.is_signed_in) == ("/login", False)
    user.verify_email()
    session.commit()
    assert (through(guest, "ada"), guest.is_signed_in) == ("/chat", True)
    guest.send("/logout")
    assert (through(guest, "same"), guest.is_signed_in) == ("/login", False)
    session.expire_all()
    assert user.oidc_subject == f"{issuer} ada"


def test_its_person_disconnects_the_provider_and_may_choose_it_again(guest: Browser, session: Database) -> None:
    through(guest, "ada")
    user = User.with_email("ada@example.com")
    session.query(UserSession).update({"created_at": utcnow() - timedelta(days=1)})
    session.commit()
    assert (guest.send("/settings/oidc/remove").status_code, user.oidc_subject is None) == (400, False)
    through(guest, "ada")
    assert "Disconnect Example ID" in guest.get("/settings").text
    assert guest.send("/settings/oidc/remove").location == "/settings"
    assert "Disconnect Example ID" not in guest.get("/settings").text
    session.expire_all()
    assert (user.oidc_subject, through(guest, "same"), guest.is_signed_in) == (None, "/chat", True)


def test_the_same_subject_at_the_provider_of_before_is_somebody_else(
    guest: Browser, session: Database, issuer: str
) -> None:
    """Some providers count their people: whoever is number 1 at the new one is not number 1 of the old one."""
    boss, ada = (people.person(name).memberships[0].user for name in ("boss", "ada"))
    boss.oidc_subject, ada.oidc_subject = "https://before.example ada", "https://before.example 2"
    session.commit()
    assert (through(guest, "ada"), guest.is_signed_in) == ("/chat", True)
    session.expire_all()
    assert (boss.oidc_subject, ada.oidc_subject) == ("https://before.example ada", f"{issuer} ada")
    assert session.query(UserSession).one().user_id == ada.id


def test_who_may_not_sign_up_or_sign_in_does_not_here_either(guest: Browser, session: Database) -> None:
    Setting.put("registration", "closed")
    session.commit()
    assert (through(guest, "ada"), User.with_email("ada@example.com")) == ("/login", None)
    Setting.put("registration", "open")
    session.commit()
    through(guest, "ada")
    User.with_email("ada@example.com").disable()
    session.commit()
    assert (through(guest, "ada"), guest.is_signed_in) == ("/login", False)


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(
    guest: Browser, new_browser: Callable[[], Browser]
) -> None:
    there = guest.get("/login/oidc").location
    back = requests.post(there, data={"sub": "ada"}, allow_redirects=False, timeout=60).headers["Location"]
    query = urlsplit(back).query
    stranger = new_browser()
    for sent in (query, "", "code=1&state=2", "error=access_denied"):
        assert stranger.get(f"/login/oidc/callback?{sent}").location == "/login"
        assert not stranger.is_signed_in
    assert guest.get(f"/login/oidc/callback?{query}").location == "/chat"
    guest.send("/logout")
    assert guest.get(f"/login/oidc/callback?{query}").location == "/login"


def test_another_issuer_than_the_one_that_was_named_is_not_believed(guest: Browser) -> None:
    guest.client.application.config["OIDC_ISSUER"] = "https://elsewhere.example"
    assert (through(guest, "ada"), guest.is_signed_in) == ("/login", False)


def test_a_second_factor_is_asked_for_after_it(guest: Browser, session: Database) -> None:
    through(guest, "ada")
    User.with_email("ada@example.com").totp_secret = "sealed"
    session.commit()
    guest.send("/logout")
    assert (through(guest, "ada", "/billing"), guest.is_signed_in) == ("/login/code?next=/billing", False)


def test_half_of_its_variables_do_not_start() -> None:
    with pytest.raises(ConfigurationError, match="OIDC_CLIENT_SECRET"):
        from_environment({"APP_ENV": "test", "OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "x"})


def test_who_goes_over_often_and_comes_back_once_is_let_in(guest: Browser) -> None:
    for _try in range(30):
        assert guest.get("/login/oidc").status_code == 302
    assert len(guest.client.get_cookie("session").value) < 2000
    assert (through(guest, "ada"), guest.is_signed_in) == ("/chat", True)
