"""The admin is closed: to anonymous people, to users, to programs, and in part to the support."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session, scoped_session

from app.extensions import db
from tests.admin.conftest import AdminClient
from tests.support import people


def rules(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and address under /admin, with something in the place of each variable."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/admin"):
            values = {name: "csv" if name == "export_type" else "admin/css/x.css" for name in rule.arguments}
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **values)
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield method, path


def test_there_are_views_to_be_closed(app: Flask) -> None:
    result = {path for _method, path in rules(app)}
    assert {
        "/admin/",
        "/admin/plan/",
        "/admin/pack/",
        "/admin/price/",
        "/admin/account/",
        "/admin/setting/",
    } <= result
    assert any(path.startswith("/admin/static/") for path in result)


def test_every_view_sends_anonymous_people_to_the_sign_in(app: Flask) -> None:
    client = app.test_client()
    for method, path in rules(app):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.location and answer.location.startswith("/login")) in {
            (302, True), (400, None),
        }, (method, path, answer.status_code)  # fmt: skip
        assert method == "POST" or answer.status_code == 302, path


def test_every_view_is_forbidden_to_ordinary_users(app: Flask, client_of: Callable[..., AdminClient]) -> None:
    nobody = client_of(None)
    token = csrf_of(nobody)
    for method, path in rules(app):
        answer = nobody.client.open(
            path, method=method, data={"csrf_token": token} if method == "POST" else None
        )
        assert answer.status_code == 403, (method, path, answer.status_code)


def test_an_owners_key_does_not_open_it(app: Flask, session: scoped_session[Session]) -> None:
    account = people.person("ada")
    account.memberships[0].user.admin_role = "owner"
    headers = {"Authorization": f"Bearer {people.api_key(account)}"}
    client = app.test_client()
    answers = {client.open(path, method=method, headers=headers).status_code for method, path in rules(app)}
    assert answers <= {302, 403}


def test_unknown_addresses_under_it_are_closed_too(app: Flask) -> None:
    assert app.test_client().get("/admin/nothing/here").status_code == 302


def test_a_post_without_the_token_changes_nothing(app: Flask, owner: AdminClient) -> None:
    for method, path in rules(app):
        if method == "POST":
            assert owner.client.post(path, data={"id": "1"}).status_code == 400, path


@pytest.mark.parametrize(
    "path",
    [
        "/admin/plan/new/",
        "/admin/plan/edit/?id=1",
        "/admin/pack/new/",
        "/admin/price/new/",
        "/admin/model/new/",
        "/admin/provider/new/",
    ],
)
def test_the_support_cannot_change_what_is_sold(support: AdminClient, path: str) -> None:
    assert support.get(path).status_code == 403
    assert support.post(path, name="x").status_code == 403


@pytest.mark.parametrize(
    "view",
    ["plan", "pack", "price", "model", "provider", "account", "user", "ledger", "usage", "change", "setting"],
)
def test_the_support_reads_everything(support: AdminClient, view: str) -> None:
    assert support.get(f"/admin/{view}/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/admin/plan/new-version/",
        "/admin/plan/default/",
        "/admin/price/approve/",
        "/admin/model/sale/",
        "/admin/user/disable/",
        "/admin/user/appoint/",
    ],
)
def test_the_support_cannot_do_what_owners_do(support: AdminClient, path: str) -> None:
    assert support.post(path, id="1").status_code == 403


@pytest.mark.parametrize(
    "view", ["plan", "pack", "price", "model", "provider", "account", "user", "ledger", "usage", "change"]
)
@pytest.mark.parametrize("path", ["ajax/update/", "delete/", "action/"])
def test_the_side_doors_of_flask_admin_are_shut(owner: AdminClient, view: str, path: str) -> None:
    fields = {"list_form_pk": "1", "credits_nanos": "9", "id": "1", "rowid": "1", "action": "delete"}
    assert owner.post(f"/admin/{view}/{path}", **fields).status_code == 403


def test_every_page_has_a_strict_policy_and_no_inline_script(owner: AdminClient) -> None:
    for path in ("/admin/", "/admin/plan/", "/admin/plan/edit/?id=1", "/admin/account/details/?id=1"):
        page = owner.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "onclick" not in page.text
        assert "javascript:" not in page.text


def csrf_of(client_of: AdminClient) -> str:
    page = client_of.client.get("/pricing").text
    return page.split('name="csrf-token" content="')[1].split('"')[0]


def test_the_list_pages_take_hostile_arguments(owner: AdminClient) -> None:
    for query in (
        "page=-1",
        "page=99999999999999999999",
        "sort=99",
        "search=%00%25'",
        "flt0_1=%00",
        "page_size=-5",
    ):
        for view in ("plan", "account", "usage", "ledger"):
            assert owner.get(f"/admin/{view}/?{query}").status_code == 200, (view, query)
    assert db


def test_with_a_host_of_its_own_it_is_nowhere_else(app: Flask, client_of: Callable[..., AdminClient]) -> None:
    owner = client_of("owner").client
    app.config["ADMIN_HOST"] = "127.0.0.1"
    elsewhere = {owner.get(path).status_code for method, path in rules(app) if method == "GET"}
    assert elsewhere == {404}
    assert b"http://127.0.0.1/admin/" in owner.get("/settings").data
    here = owner.get("/admin/", headers={"Host": "127.0.0.1"})
    assert here.status_code in {200, 302}
    assert b"Page not found" not in here.data
