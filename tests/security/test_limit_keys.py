"""Every limit counts by what its view uses, and one that cannot be read refuses. security.md 27."""

import inspect
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_qualified_name

from app.extensions import limiter
from app.models.identity.email_address import known_as, mailbox
from app.models.identity.user import User
from app.web import rate_limits, second_factor
from app.web.network_address import UNKNOWN, network_of
from tests.auth.conftest import Browser
from tests.support.people import PASSWORD

INVISIBLE = ("\x00", "\x07", "\u200b", "\u2060", "\ufeff", "\u202e", "\u00ad", " ", "\t")


@pytest.fixture
def guest(new_browser: Callable[[], Browser]) -> Browser:
    return new_browser()


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RATELIMIT_ENABLED": "1", "PROXY_COUNT": "1"}


def limits_of(one: Limiter) -> Iterator[Any]:
    """Every limit of the app: of its views, and of its blueprints."""
    manager = one.limit_manager
    for groups in (*manager._decorated_limits.values(), *manager._blueprint_limits.values()):
        yield from groups


def test_every_limit_refuses_where_it_cannot_be_read(app: Flask) -> None:
    limits = list(limits_of(limiter))
    assert len(limits) > 20
    for limit in limits:
        parts = [limit.key_function, limit.exempt_when]
        parts += [limit.limit_provider] if callable(limit.limit_provider) else []
        assert all(getattr(part, "is_refusing", False) for part in parts), limit


def test_what_counts_once_the_answer_is_known_lets_few_in_until_then(app: Flask) -> None:
    """Or a plain limit of the same endpoint bounds what is sent at once."""
    counted = [limit for limit in limits_of(limiter) if limit.deduct_when]
    plain = {limit.key_function for limit in limits_of(limiter) if not limit.deduct_when}
    assert len(counted) > 2
    for limit in counted:
        assert limit.key_function in plain or getattr(limit.key_function, "is_few_at_once", False), limit


def test_guesses_that_come_at_once_are_counted(
    app: Flask, signed_in: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty at once at one mailbox, from as many networks, of which each takes its time."""
    signed_in("ada")
    browsers = [Browser(app.test_client()) for _ in range(40)]
    forms = [{"csrf_token": one.token(), "email": "ada@example.com", "password": "a wrong guess"} for one in browsers]
    slowly = User.authenticate

    def authenticate(email: str, word: str) -> User | None:
        time.sleep(0.2)
        return slowly(email, word)

    monkeypatch.setattr(User, "authenticate", authenticate)

    def guess(number: int) -> int:
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        return browsers[number].client.post("/login", data=forms[number], headers=headers).status_code

    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(guess, range(40)))
    assert 1 <= statuses.count(400) <= 10
    assert set(statuses) == {400, 429}
    assert dict(rate_limits.TRIES) == {}


@pytest.mark.parametrize("broken", ["network", "mailbox"])
def test_an_error_inside_a_limit_lets_nobody_through(
    guest: Browser, signed_in: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    signed_in("ada")
    token = guest.token()

    def fails(*_args: object) -> str:
        raise ValueError(broken)

    monkeypatch.setattr(rate_limits, broken, fails)
    form = {"csrf_token": token, "email": "ada@example.com", "password": PASSWORD}
    answer = guest.client.post("/login", data=form)
    assert (answer.status_code, "try again" in answer.text.lower()) == (503, True)
    assert limiter._storage_dead is False


@pytest.mark.parametrize(("before", "sign"), [("", "+1"), *(("@example.com", sign) for sign in INVISIBLE[2:3])])
def test_one_address_has_one_limit_however_it_is_typed(
    guest: Browser, signed_in: Callable[..., Browser], before: str, sign: str
) -> None:
    signed_in("ada")
    after = "" if before else "@example.com"
    for number in range(10):
        guest.send("/login", email=f"ada{before}{sign * number}{after}", password="a wrong password")
    assert guest.send("/login", email=f"Ada{before}{sign * 20}{after}", password=PASSWORD).status_code == 429


@pytest.mark.parametrize("sign", INVISIBLE)
def test_what_signs_in_is_what_is_counted(sign: str) -> None:
    typed = f"{sign}Ada@EXAMPLE.com{sign}"
    assert (known_as(typed), mailbox(typed)) == ("ada@example.com", "ada@example.com")


def test_an_address_that_is_sent_in_another_way_is_not_read(guest: Browser, signed_in: Callable[..., Browser]) -> None:
    signed_in("ada")
    form, headers = {"email": "ada@example.com", "password": PASSWORD}, {"X-CSRFToken": guest.token()}
    as_json = guest.client.post("/login", headers=headers, json=form)
    as_file = {"email": (BytesIO(b""), "ada@example.com"), "password": PASSWORD}
    as_upload = guest.client.post("/login", headers=headers, data=as_file)
    assert (as_json.status_code, as_upload.status_code) == (400, 400)


@pytest.mark.parametrize(
    ("written", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
        ("junk", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
        ("1.2.3.4.5:6:7", UNKNOWN),
    ],
)
def test_a_network_is_read_with_ports_and_brackets(written: str | None, counted: str) -> None:
    assert network_of(written) == counted


def test_what_is_longer_than_any_address_is_not_remembered() -> None:
    written = "x" * len(INVISIBLE) * 6_000
    holders = sys.getrefcount(written)
    assert network_of(written) == UNKNOWN
    assert sys.getrefcount(written) == holders


def test_no_way_to_write_an_address_escapes_its_limit(app: Flask) -> None:
    """What counts as one is shown above; here that it is what is counted."""
    statuses = []
    for number in range(1, 32):
        browser = Browser(app.test_client())
        headers = {"X-Forwarded-For": f"[2001:db8::{number}]:{number}"}
        form = {
            "csrf_token": browser.token(),
            "email": f"p{number}@example.com",
            "password": "a wrong password",
        }
        statuses.append(browser.client.post("/login", data=form, headers=headers).status_code)
    assert statuses == [400] * 30 + [429]


def test_a_form_that_checks_the_password_counts_by_person(app: Flask) -> None:
    """Who has a session and guesses its password may do so from many networks."""
    manager = limiter.limit_manager
    for endpoint, view in app.view_functions.items():
        said = inspect.getsource(inspect.unwrap(view))
        if endpoint == "auth.login" or not re.search(r"has_password\(|ConfirmedForm\(|PasskeyForm\(", said):
            continue
        keys = {one.key_function for one in manager._decorated_limits.get(get_qualified_name(view), ())}
        assert keys & {rate_limits.this_person, second_factor.who_tries}, endpoint
