"""A line in the log for each sign-in, its failure, and each change of credential or right; without secrets."""

import io
import json
import logging
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import MailedToken, User
from app.observability.logging import write_logs
from tests.auth.conftest import Browser
from tests.support import Database
from tests.support.people import PASSWORD

NEW = "another good password"


def test_each_is_written_down_without_secrets(
    signed_in: Callable[..., Browser],
    new_browser: Callable[[], Browser],
    session: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="app.security"):
        secret = a_life(signed_in, new_browser, session)
    lines = [vars(record) for record in caplog.records if record.name == "app.security"]
    events = [line["event_name"] for line in lines]
    assert events == [
        "sign-in", "sign-up", "sign-in failed", "key made", "key revoked", "role changed", "member removed",
        "password changed", "password reset", "sign-in", "account deleted",
    ]  # fmt: skip
    assert [word for word in (PASSWORD, NEW, secret, "example.com", "tg_" + "x") if word in str(lines)] == []
    assert {line["user"] for line in lines if line["event_name"] == "password reset"} == {lines[0]["user"]}


def test_who_tries_what_is_forbidden_is_written_down(
    signed_in: Callable[..., Browser], session: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ada = signed_in("ada")
    with caplog.at_level(logging.INFO, logger="app.security"):
        assert ada.get("/admin/").status_code == 403
    line = [vars(record) for record in caplog.records if record.name == "app.security"][-1]
    assert (line["event_name"], line["rule"], line["user"]) == ("forbidden", "/admin/", 2)


def test_a_line_of_the_log_stays_one_line(app: Flask, client: FlaskClient) -> None:
    """Whatever a stranger names a request."""
    written = io.StringIO()
    app.config["APP_ENV"] = "production"
    write_logs(app, written)
    client.get("/login", headers={"X-Request-ID": 'x" \u2028 {"event": "sign-in"}'})
    logging.getLogger("app.security").info("security", extra={"event_name": "a\nb\r\u2028c"})
    lines = written.getvalue().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["request", "security"]


def a_life(signed_in: Callable[..., Browser], new_browser: Callable[[], Browser], session: Database) -> str:
    """Everything that is written down, once each; returns the secret of the mailed link."""
    signed_in("ada")
    ada, guest = new_browser(), new_browser()
    ada.sign_in("ada")
    guest.sign_up("bob")
    guest.sign_in("ada", "a wrong password")
    user = User.with_email("ada@example.com")
    ada.send("/settings/keys", name="robot")
    ada.send("/settings/keys/1/revoke")
    ada.send("/account/teams", name="Keepers")
    team = session.query(Account).filter_by(kind="team").one()
    place = Membership(account=team, user=User.with_email("bob@example.com"), role="member")
    session.add(place)
    session.commit()
    ada.send(f"/account/members/{place.id}/role", role="admin")
    ada.send(f"/account/members/{place.id}/remove")
    return leave(ada, guest, user, session)


def leave(ada: Browser, guest: Browser, user: User, session: Database) -> str:
    ada.send("/settings/password", current_password=PASSWORD, password=NEW)
    secret = MailedToken.issue(user, "reset")
    session.commit()
    guest.send(f"/password/reset/{secret}", password=NEW)
    ada.sign_in("ada", NEW)
    ada.send("/settings/delete", current_password=NEW)
    return secret
