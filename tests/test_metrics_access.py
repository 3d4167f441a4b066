"""Who may read /metrics: who has the token, and admins."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.addresses import ConfigurationError
from app.config import from_environment
from app.models.identity.user import User
from tests.admin.conftest import AdminClient, client_of
from tests.chat.conftest import Door, ada, door, environment, provider
from tests.support import Database
from tests.support.environment import app_environment
from tests.support.scraping import TOKEN

__all__ = ["ada", "client_of", "door", "environment", "provider"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_without_the_token_it_is_closed(app: Flask, headers: dict[str, str]) -> None:
    app.config["METRICS_TOKEN"] = TOKEN
    answer = app.test_client().get("/metrics", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")


def test_an_empty_token_opens_nothing(app: Flask) -> None:
    app.config["APP_ENV"] = "production"
    client = app.test_client()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401


def test_admins_read_it_in_their_browser_and_others_do_not(app: Flask, client_of: Callable[..., AdminClient]) -> None:
    app.config["METRICS_TOKEN"] = TOKEN
    answers = {role: client_of(role).get("/metrics").status_code for role in ("owner", "support", None)}
    assert answers == {"owner": 200, "support": 200, None: 403}


def test_an_admin_shows_the_second_factor_first(
    app: Flask, client_of: Callable[..., AdminClient], session: Database
) -> None:
    app.config["METRICS_TOKEN"] = TOKEN
    owner = client_of("owner")
    User.with_email("person-owner@example.com").totp_secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    session.commit()
    assert owner.get("/metrics").status_code == 401


def test_a_key_of_an_account_does_not_open_it(app: Flask, ada: Door, client: FlaskClient) -> None:
    app.config["METRICS_TOKEN"] = TOKEN
    assert client.get("/metrics", headers=ada.headers).status_code == 401


@pytest.mark.parametrize("name", ["development", "test"])
@pytest.mark.parametrize(("token", "status"), [("", 200), (TOKEN, 401)])
def test_outside_production_it_is_open_until_a_token_is_set(app: Flask, name: str, token: str, status: int) -> None:
    app.config.update(APP_ENV=name, METRICS_TOKEN=token)
    assert app.test_client().get("/metrics").status_code == status


def test_production_refuses_a_token_that_could_be_guessed() -> None:
    whole = app_environment(APP_ENV="production", DATABASE_URL="sqlite://", REDIS_URL="redis://r")
    with pytest.raises(ConfigurationError, match="METRICS_TOKEN"):
        from_environment(whole | {"METRICS_TOKEN": "secret"})
    assert from_environment(whole | {"METRICS_TOKEN": TOKEN})["METRICS_TOKEN"] == TOKEN
