"""Whatever is typed into any form, filter or address of a page is refused in words: 4xx, never 500. security.md 32.

The forms are those that the pages show; the filters are those that the lists of the admin offer. `LONG=1` tries
every value everywhere, else a share of them that a fixed seed chooses. `FUZZ_SEED` names another one, and has
further values made of those; `FUZZ_SECONDS` is how long each of the four runs takes.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from app.extensions import db
from app.models.identity.user import User
from tests.admin.conftest import AdminClient, FormReader, sign_in
from tests.conftest import IS_LONG
from tests.security.conftest import Teams
from tests.security.test_routes import address
from tests.support import Database

VALUES = (
    "", " ", "\x00", "a\x00b", "\ud83d", "\uff11\uff12", "\u0663", "-1", "0", "1e999999", "-1e999999", "NaN", "sNaN",
    "1e-999999", "Infinity", "-Infinity", "9" * 20, "9" * 400, "0" * 20 + "11000", "1.0000000000000001", "+5", "1_000",
    "0x10", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30", "%",
    "'", '"', "\\", "../..", "<b>x</b>", "{{7*7}}", "%00", "\u202e", "x" * 5000, "[]", "{}", "null", "true", "on",
    "a,b;c", "\r\nX-Own: 1", "\U0001f4b8" * 200,
)  # fmt: skip
SHARE = 1.0 if IS_LONG else 0.02
BUDGET = float(os.environ.get("FUZZ_SECONDS", "3600" if IS_LONG else "1"))
"""Seconds for the forms, and as many for the addresses, of either test: more where FEWEST take more."""

FEWEST = 25
FIELDS = 10**6 if IS_LONG else 4
"""How many fields of a form are tried."""

SEED = os.environ.get("FUZZ_SEED", "")
SIGNS_OUT = (
    "/logout", "/settings/delete", "/settings/sessions", "/account/close", "/account/leave", "/settings/password",
)  # fmt: skip


def chosen(seed: str) -> Iterator[str]:
    """The values to try at a place: all of them in the long run, else at least one."""
    dice = random.Random(SEED + seed)  # noqa: S311 - a choice that is the same each time
    yield from (value for value in VALUES if dice.random() < SHARE) if SHARE < 1 else VALUES
    yield dice.choice(VALUES)
    if SEED:
        yield from (made(dice) for _ in range(3))


def made(dice: random.Random) -> str:
    """A value of two others, cut, repeated, or with a character of any script in it."""
    one, other = (dice.choice(VALUES)[:200] for _ in range(2))
    cut = dice.randint(0, len(one))
    between = dice.choice(["", chr(dice.randint(1, 0x10FFFF)), str(dice.randint(-(10**30), 10**30)), other * 3])
    return one[:cut] + between + dice.choice([one[cut:], other])


def shuffled(places: list[Any]) -> list[Any]:
    """In an order that is the same each time, so that a short run sees a bit of everything."""
    return random.Random(SEED or 19).sample(places, len(places))  # noqa: S311 - a choice that is the same each time


def safe(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def pages(app: Flask, ids: dict[str, int], prefix: str) -> list[str]:
    """The addresses of all pages under a prefix, or outside of the admin and the API."""
    rules = (rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and "<path:" not in rule.rule)
    no_pages = ("/api", "/v1", "/static")
    shown = {rule.rule for rule in rules if not rule.rule.startswith(no_pages)}
    chosen_rules = (rule for rule in shown if rule.startswith("/admin") == (prefix == "/admin"))
    return sorted({address(rule, ids | {"token": "made-up"}) for rule in chosen_rules})


def check(answer: object, *what: object) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, (what, answer.text[:400])  # type: ignore[attr-defined]
    assert "Traceback" not in answer.text, what  # type: ignore[attr-defined]


def fuzz_forms(get: Callable[..., object], post: Callable[..., object], paths: list[str]) -> int:
    """Each field of each form of these pages gets hostile values, with the others as the page has them; how many.

    In the short run a few fields of the first form of each address: a list has one in each row.
    """
    count, deadline, tried = 0, time.monotonic() + BUDGET, set[str]()
    for path in shuffled(paths):
        if time.monotonic() > deadline and count > FEWEST:
            break
        page = get(path)
        check(page, path)
        for action, fields in FormReader(page.text).forms if "html" in page.content_type else []:  # type: ignore[attr-defined]
            target = action or path
            if not target.startswith("/") or target.startswith(SIGNS_OUT) or (target in tried and not IS_LONG):
                continue
            tried.add(target)
            for name in shuffled(list(fields))[:FIELDS]:
                for value in chosen(f"{target} {name}") if name != "csrf_token" else ():
                    check(post(target, fields | {name: safe(value)}), target, name, value)
                    count += 1
    return count


def fuzz_queries(get: Callable[..., object], paths: list[str], names: Callable[[str], list[str]]) -> int:
    count, deadline = 0, time.monotonic() + BUDGET
    for path, name in shuffled([(one, name) for one in paths for name in names(one)]):
        if time.monotonic() > deadline and count > FEWEST:
            break
        for value in chosen(f"{path} {name}"):
            check(get(f"{path}?{name}={quote(safe(value))}"), path, name, value)
            count += 1
    return count


QUERIES = [
    "from", "to", "limit", "cursor", "page", "q", "session_id", "format", "model", "next", "group", "month", "plan_id",
]  # fmt: skip


KNOWN = (
    ("/billing/alerts", "low_balance_credits"), ("/account/members/<member_id>/limit", "limit_credits"),
    ("/settings/profile", "name"), ("/account/rename", "name"), ("/billing/return", "session_id"),
)  # fmt: skip
"""Fields that once ended in a 500, or whose like did."""


@pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
def test_pages_and_their_forms(app: Flask, adas: dict[str, int], team_of: Teams) -> None:
    ada = team_of.browsers["ada"]

    def post(path: str, fields: dict[str, object]) -> object:
        return ada.client.post(path, data=fields)

    for path, field in KNOWN:
        for value in ("1e999999", "NaN", "sNaN", "\x00", "9" * 20):
            check(post(address(path, adas), {"csrf_token": ada.token(), field: value}), path, field, value)
    paths = pages(app, adas, "")
    assert fuzz_forms(ada.get, post, paths) > FEWEST
    assert fuzz_queries(ada.get, paths, lambda _path: QUERIES) > FEWEST


@pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
def test_lists_and_forms_of_the_admin(app: Flask, adas: dict[str, int], session: Database) -> None:
    user = User.with_email("ada@example.com")
    user.admin_role = "owner"
    client = app.test_client()
    sign_in(client, user)
    owner = AdminClient(client)
    lists = [view.endpoint for view in app.extensions["admin"][0]._views if hasattr(view, "_filter_args")]
    filters = {f"/admin/{view.endpoint}/": list(view._filter_args or {}) for view in app.extensions["admin"][0]._views
               if hasattr(view, "_filter_args")}  # fmt: skip
    assert len(lists) > 8
    more = ["page", "sort", "desc", "search", "page_size", "id", "url"]
    names = {path: [f"flt0_{name}" for name in known] + more for path, known in filters.items()}
    assert fuzz_queries(owner.get, list(names), lambda path: names[path]) > FEWEST
    ids = ["id=1", "id=2"]
    forms = [f"/admin/{name}/{page}/?{row}" for name in lists for page in ("edit", "details") for row in ids]
    forms += [f"/admin/{name}/new/" for name in lists] + pages(app, adas, "/admin")

    def post(path: str, fields: dict[str, object]) -> object:
        return owner.client.post(path, data={name: value for name, value in fields.items() if value is not None})

    assert fuzz_forms(owner.get, post, forms) > FEWEST
    db.session.rollback()


HOSTS = ("evil.example.com", "EVIL.example.com:99999", "127.0.0.1:x", "[::1", "a b", "")


def test_every_route_refuses_a_foreign_host(app: Flask) -> None:
    """Of every blueprint, by whatever method, before all else; and addresses that there are none of."""
    client = app.test_client()
    kinds = {(rule.endpoint.partition(".")[0], method): rule.rule for rule in app.url_map.iter_rules()
             for method in rule.methods - {"HEAD", "OPTIONS"}}  # fmt: skip
    asked = [(path, method) for (_blueprint, method), path in kinds.items()]
    asked += [("/login", method) for method in ("HEAD", "OPTIONS", "PUT", "MADE-UP")]
    assert len(asked) > 50
    for path, method in [*asked, ("/nothing", "GET"), ("/admin/nothing", "GET")]:
        answer = client.open(address(path, {"token": "made-up"}), method=method, headers={"Host": HOSTS[0]})
        assert answer.status_code == 400, (method, path)
        assert HOSTS[0] not in f"{answer.text} {answer.headers}", (method, path)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_is_refused_in_words(app: Flask, host: str) -> None:
    for path in ("/", "/login", "/admin", "/admin/", "/admin/nothing", "/api/balance", "/v1/models"):
        answer = app.test_client().get(path, headers={"Host": host})
        assert answer.status_code in {200, 302, 400, 401, 404}, (path, host)
        assert "Traceback" not in answer.text
        assert "evil" not in (answer.location or "")


def test_a_page_is_the_same_under_a_host_in_capitals(app: Flask) -> None:
    """Names of hosts have no case: what leads back, as a form does that was wrong, leads back from there too."""
    rules = sorted({rule.endpoint.partition(".")[0]: rule.rule for rule in app.url_map.iter_rules()
                    if "GET" in rule.methods}.values())  # fmt: skip
    for path in ("/login", "/signup", "/logout", *(address(rule, {"token": "made-up"}) for rule in rules)):
        small, large = (
            app.test_client().get(path, headers={"Host": host, "Referer": f"http://{host}/login"}, buffered=True)
            for host in ("localhost", "LocalHost")
        )
        assert (large.status_code, large.location) == (small.status_code, small.location), path
