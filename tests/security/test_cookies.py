"""The cookie, as production sets it. security.md 15."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.models.catalog.setting import Setting
from tests.auth.conftest import Browser
from tests.conftest import close
from tests.support.client import form_token
from tests.support.test_apps import made_apps

BASE = "https://tollgate.example"


@pytest.fixture
def app(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app as production configures it, behind one proxy that ends TLS."""
    own = {
        "APP_ENV": "production",
        "BASE_URL": BASE,
        "TRUSTED_HOSTS": "",
        "PROXY_COUNT": "1",
        "RATELIMIT_ENABLED": "0",
    }
    app = made_apps.lend(monkeypatch, environment | own)
    yield app
    close(app)


class SecureBrowser(Browser):
    """A browser that comes over TLS, from the page of the same site."""

    options: ClassVar = {
        "base_url": BASE,
        "headers": {"Referer": f"{BASE}/login", "X-Forwarded-Proto": "https"},
    }

    def token(self) -> str:
        return form_token(self.client, **self.options)

    def get(self, path: str, **options: object) -> TestResponse:
        return self.client.get(path, **self.options | options)

    def send(self, path: str, **fields: object) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token()} | fields, **self.options)


@pytest.fixture
def guest(app: Flask) -> SecureBrowser:
    return SecureBrowser(app.test_client())


def test_a_program_that_comes_without_tls_is_told_and_never_sent_on(app: Flask) -> None:
    """Where the proxy says so; its key went in the open."""
    client, plain = app.test_client(), BASE.replace("https", "http")
    for path in ("/api/balance", "/v1/chat/completions", "/webhooks/stripe", "/metrics"):
        answer = client.post(path, base_url=plain, headers={"X-Forwarded-Proto": "http"})
        assert (answer.status_code, answer.location, "https://" in answer.text) == (400, None, True), path
        for headers in ({}, {"X-Forwarded-Proto": "https"}):
            assert "Use https://" not in client.post(path, base_url=plain, headers=headers).text, path
    assert client.get("/healthz", base_url=plain, headers={"X-Forwarded-Proto": "http"}).status_code == 200


def cookies_of(answer: TestResponse) -> dict[str, set[str]]:
    """The attributes of each cookie that the answer sets, in lower case."""
    result = {}
    for line in answer.headers.getlist("Set-Cookie"):
        pair, *attributes = line.split("; ")
        result[pair.partition("=")[0]] = {attribute.lower() for attribute in attributes}
    return result


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_the_cookie_is_for_this_host_over_tls_and_not_for_scripts(guest: SecureBrowser, path: str) -> None:
    form = {"email": "ada@example.com", "password": "correct horse battery"}
    answer = guest.send(path, **form) if path == "/signup" else guest.get(path)
    cookies = cookies_of(answer)
    assert set(cookies) == {"__Host-session"} | ({"__Host-known"} if path == "/signup" else set())
    for attributes in cookies.values():
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)


def test_the_cookie_keeps_its_attributes_all_the_way(guest: SecureBrowser) -> None:
    """A page that is gone to renews its thirty days."""
    guest.send("/signup", email="ada@example.com", password="correct horse battery")
    headers = {"X-Forwarded-Proto": "https", "Sec-Fetch-Mode": "navigate"}
    pages = [guest.get(path, headers=headers) for path in ("/chat", "/settings")]
    for answer in (*pages, guest.send("/logout")):
        attributes = cookies_of(answer)["__Host-session"]
        assert {"secure", "httponly", "samesite=lax"} <= attributes
    assert any(attribute.startswith("expires=") for attribute in cookies_of(pages[0])["__Host-session"])


def test_what_a_page_fetches_never_brings_an_older_cookie_back(guest: SecureBrowser) -> None:
    """It may come after the answer to a form, and would take back the notice or the sign-in that this one wrote."""
    guest.send("/signup", email="ada@example.com", password="correct horse battery")
    for path in ("/api/balance", "/api/chats", "/static/css/base.css"):
        with guest.get(path) as answer:
            assert (answer.status_code, cookies_of(answer)) == (200, {}), path


def test_a_form_from_another_site_is_refused_over_tls(guest: SecureBrowser) -> None:
    token = guest.token()
    headers = {"Referer": "https://evil.example/", "X-Forwarded-Proto": "https"}
    form = {"csrf_token": token, "email": "ada@example.com", "password": "correct horse battery"}
    assert guest.client.post("/signup", data=form, base_url=BASE, headers=headers).status_code == 400


def test_production_waits_for_the_address_and_limits_the_rate(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATELIMIT_ENABLED")
    monkeypatch.delenv("REQUIRE_VERIFIED_EMAIL")
    with app.app_context():
        assert (Setting.get("require_verified_email"), Setting.get("ratelimit_enabled")) == (True, True)


def test_production_is_strict_even_where_tls_ends_unseen(app: Flask) -> None:
    """A proxy that says nothing of TLS must not cost the cookie its protection."""
    answer = app.test_client().get("/login", base_url="http://tollgate.example")
    assert "secure" in cookies_of(answer)["__Host-session"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
