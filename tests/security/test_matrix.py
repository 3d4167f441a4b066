"""Roles x routes x methods, with another's ids: the app does what `matrix.txt` says. security.md 1, 6, 19 and 30."""

import os

import pytest
from flask import Flask

from app.models.identity.account import Account
from app.providers.demo import DemoProvider
from tests.security.matrix import ADMIN_ROLES, KEPT, ROLES, Cast, matrix, text
from tests.security.test_routes import OWNED, PUBLIC, UNSAFE
from tests.support import Database

Row = tuple[dict[str, str], str, str]
STRANGERS = ("other owner", "founder", "other's key")
BY_LINK = "/shared/<token>/files/<attachment_id>"
"""Asked for here with the link of another chat of ada's: the file is nobody's by that."""

MEMBERS_OWN = {
    "/account/leave",
    "/account/own-limit",
    "/account/requests",
    "/account/switch",
    "/account/teams",
}
SUPPORT_DOES = {"/admin/account/grant/", "/admin/two-factor/", "/admin/user/mail/", "/admin/user/sign-out/"}


def test_each_role_gets_what_the_matrix_says(
    app: Flask, adas: dict[str, int], session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DemoProvider.__init__.__kwdefaults__, "pace", 0.0)
    team = session.query(Account).filter_by(name="ada's team").one()
    measured = text(list(matrix(app, Cast(app, team), adas)))
    if os.environ.get("WRITE_MATRIX"):
        KEPT.write_text(measured)
    assert measured.splitlines() == KEPT.read_text().splitlines()


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"LOG_LEVEL": "ERROR"}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Each row of the file: the sign of each role, the method, the rule."""
    lines = [line.split() for line in KEPT.read_text().splitlines() if not line.startswith("#")]
    return [
        (dict(zip(ADMIN_ROLES if rule.startswith("/admin") else ROLES, signs, strict=True)), method, rule)
        for signs, method, rule in lines
    ]


def test_nobody_is_let_in_where_it_is_not_public_by_name(rows: list[Row]) -> None:
    for signs, method, rule in rows:
        is_public = rule in PUBLIC and (method, rule) != ("POST", "/invitations/<token>")
        assert is_public or signs["nobody"] == "s", (method, rule)
        assert "!" not in signs.values(), (method, rule)


def test_strangers_find_nothing_of_adas_where_she_does(rows: list[Row]) -> None:
    """An admin of the installation is a stranger outside /admin."""
    for signs, method, rule in rows:
        if any(f"<{name}>" in rule for name in OWNED):
            assert {signs[name] for name in STRANGERS} <= {"0", "x", "s"}, (method, rule)
            assert rule == BY_LINK or "+" in signs["owner"] + signs["hold key"], (method, rule)


def test_a_member_does_nothing_to_the_account(rows: list[Row]) -> None:
    for signs, method, rule in rows:
        if rule.startswith(("/billing", "/account")) and method in UNSAFE and signs["member"] == "+":
            assert rule in MEMBERS_OWN, rule


def test_the_support_changes_only_what_it_may(rows: list[Row]) -> None:
    admin = [row for row in rows if row[2].startswith("/admin")]
    assert {rule for signs, method, rule in admin if method in UNSAFE and signs["support"] == "+"} == SUPPORT_DOES
    assert {signs["owner"] for signs, _method, _rule in admin} == {"x"}
