"""The admin's side doors are shut, and its pages strict. Who gets in where: `security/test_matrix.py`."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.extensions import db
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient
from tests.support import Database

AS_JSON = {"Accept": "application/json"}
"""What is refused is told without a page."""


def rules(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and address under /admin, with something in the place of each variable."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/admin"):
            values = {name: "csv" if name == "export_type" else "admin/css/x.css" for name in rule.arguments}
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **values)
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield method, path


def test_unknown_addresses_under_it_are_closed_too(app: Flask) -> None:
    assert app.test_client().get("/admin/nothing/here").status_code == 302


def test_a_post_without_the_token_changes_nothing(app: Flask, owner: AdminClient) -> None:
    for method, path in rules(app):
        if method == "POST":
            answer = owner.client.post(path, data={"id": "1"}, headers=AS_JSON)
            assert (answer.status_code, answer.json["code"]) == (400, "csrf_failed"), path


def test_the_support_is_offered_no_page_or_button_that_is_closed_to_it(support: AdminClient) -> None:
    closed = []
    for path in dict.fromkeys(re.findall(r'href="(/admin/[\w-]*/?)"', support.get("/admin/").text)):
        page = support.get(path, follow_redirects=True)
        closed += [path] if page.status_code != 200 else []
        for tag, inside in re.findall(r"<form([^>]*)>(.*?)</form>", page.text, re.S):
            if 'method="post"' in tag and "<button" in inside:
                action = re.search(r'action="([^"]+)"', tag)
                closed += [(path, tag)] if support.post(action[1] if action else path).status_code == 403 else []
    assert closed == []


def test_every_page_has_a_strict_policy_and_no_inline_script(owner: AdminClient) -> None:
    for path in ("/admin/", "/admin/plan/", "/admin/plan/edit/?id=1", "/admin/account/details/?id=1"):
        page = owner.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "onclick" not in page.text
        assert "javascript:" not in page.text


def test_the_list_pages_take_hostile_arguments(owner: AdminClient) -> None:
    for query in (
        "page=-1",
        "page=99999999999999999999",
        "sort=99",
        "search=%00%25'",
        "flt0_1=%00",
        "page_size=-5",
    ):
        for view in ("account", "ledger"):
            assert owner.get(f"/admin/{view}/?{query}").status_code == 200, (view, query)
    assert db


def test_with_a_host_of_its_own_it_is_nowhere_else(app: Flask, client_of: Callable[..., AdminClient]) -> None:
    owner = client_of("owner").client
    app.config["ADMIN_HOST"] = "127.0.0.1"
    elsewhere = {owner.get(path, headers=AS_JSON).status_code for method, path in rules(app) if method == "GET"}
    assert elsewhere == {404}
    assert b"http://127.0.0.1/admin/" in owner.get("/settings").data
    here = owner.get("/admin/", headers={"Host": "127.0.0.1"})
    assert here.status_code in {200, 302}
    assert b"Page not found" not in here.data


def test_nobody_becomes_an_owner_by_an_address_that_they_have_not_confirmed(
    app: Flask, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can sign up with the address that an operator will name, or with the seed's own."""
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "1")
    eve, commands = User.with_email("admin@example.com"), app.test_cli_runner()
    eve.email_verified_at = eve.admin_role = None
    session.commit()
    for command in (["seed"], ["user", "create-admin", eve.email]):
        refused = commands.invoke(args=command)
        session.rollback()
        assert (refused.exit_code, "confirmed" in refused.output, eve.admin_role) == (1, True, None)
    eve.verify_email()
    session.commit()
    assert commands.invoke(args=["user", "create-admin", eve.email]).exit_code == 0
    session.rollback()
    change = session.query(AdminChange).one()
    assert (eve.admin_role, change.subject_id, change.changes["by"][1]) == ("owner", str(eve.id), "command line")


def test_a_later_seed_makes_no_second_owner(
    app: Flask, owner: AdminClient, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner of the installation took the first one's rights away."""
    monkeypatch.delenv("ADMIN_EMAIL", raising=False)
    first = User.with_email("admin@example.com")
    first.admin_role = None
    session.commit()
    assert app.test_cli_runner().invoke(args=["seed"]).exit_code == 0
    session.rollback()
    assert first.admin_role is None
