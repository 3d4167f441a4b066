"""Lists: as many statements for many rows as for few; exports that stream and hold no formulas."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

from flask import Flask
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import QueuePool

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.plan import Plan
from app.models.catalog.price import ModelPrice
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.usage import Usage
from tests.admin.conftest import AdminClient
from tests.conftest import IS_LONG
from tests.support import Database, people

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@contextmanager
def statements() -> Iterator[list[str]]:
    said: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    yield said
    event.remove(Engine, "before_cursor_execute", listen)


def fill(session: Database, count: int) -> None:
    """So many accounts more, each with its owner, an entry and a call."""
    plan_id, price_id = Plan.default().id, session.scalars(select(ModelPrice.id)).first()
    start = session.query(User).count() + 1000
    users = [{"email": f"u{start + n}@example.com", "password_hash": "x", "created_at": NOW} for n in range(count)]
    user_ids = list(session.scalars(insert(User).returning(User.id), users))
    accounts = [{"plan_id": plan_id, "name": f"=A{n}", "created_at": NOW} for n in range(count)]
    account_ids = list(session.scalars(insert(Account).returning(Account.id), accounts))
    pairs = list(zip(account_ids, user_ids, strict=True))
    session.execute(insert(Membership), [{"account_id": a, "user_id": u, "role": "owner"} for a, u in pairs])
    session.execute(
        insert(LedgerEntry),
        [{"account_id": a, "kind": "grant", "key": f"k{a}", "actor_id": u} for a, u in pairs],
    )
    session.execute(insert(Usage), [call(a, u, price_id) for a, u in pairs])
    session.commit()


def call(account_id: int, user_id: int, price_id: int | None) -> dict[str, object]:
    fields = {"model": "gpt-4o", "state": "settled", "day": NOW.date(), "settled_at": NOW, "created_at": NOW}
    return {"account_id": account_id, "user_id": user_id, "price_id": price_id, "reserved_nanos": 1,
            "max_output_tokens": 1, "cost_nanos": 5, **fields}  # fmt: skip


def test_a_list_takes_no_more_statements_for_many_rows_than_for_few(owner: AdminClient, session: Database) -> None:
    """Many: more than a page of it shows."""
    lists, said = ("account", "user", "ledger", "usage"), {}
    for count in (10, 150):
        fill(session, count)
        for view in lists:
            with statements() as heard:
                page = owner.get(f"/admin/{view}/")
            said[view, count] = len(heard)
            assert page.text.count("<tr>") > min(40, count), view
    for view in lists:
        assert said[view, 150] <= said[view, 10] <= 12, view


def test_the_pages_of_customers_take_no_more_statements_for_many_rows(owner: AdminClient, session: Database) -> None:
    """A team's members, and what is sold."""
    user = session.scalars(select(User).where(User.email.startswith("person-"))).one()
    team, heard = Account.open(user, kind="team", name="Many"), list[list[int]]()
    session.commit()
    for count in (2, 20):
        fill(session, count)
        users = session.scalars(select(User.id).order_by(User.id.desc()).limit(count))
        session.execute(
            insert(Membership), [{"account_id": team.id, "user_id": one, "role": "member"} for one in users]
        )
        session.add_all(Plan(name=f"{count} {n}", price_cents=1000 + n) for n in range(count))
        session.commit()
        heard.append([])
        for path, account_id in (("/account", team.id), ("/pricing", user.home_id)):
            owner.post("/account/switch", account_id=account_id)
            with statements() as said:
                assert owner.get(path).status_code == 200
            heard[-1].append(len(said))
    assert heard[0] == heard[1]


def test_the_other_pages_take_few_statements(owner: AdminClient) -> None:
    mosts = dict.fromkeys(("/admin/", "/admin/registry/", "/admin/account/details/?id=1"), 63)
    mosts |= {f"/admin/{view}/": 10 for view in ("plan", "pack", "price", "model", "provider", "change")}
    for path, most in mosts.items():
        with statements() as said:
            assert owner.get(path).status_code == 200
        assert len(said) <= most, (path, len(said))


def test_every_page_says_whose_call_it_is_and_what_for(owner: AdminClient, session: Database) -> None:
    fill(session, 1)
    session.query(Account).filter_by(name="=A0").one().name = ""
    call = session.query(Usage).one()
    call.operation, call.output = "title", 12_345
    session.commit()
    shown = owner.get("/admin/usage/").text
    email = session.query(User.email).filter(User.email.startswith("u")).scalar()
    assert f">{email}</a>" in shown
    assert ("Chat title" in shown, "12,345" in shown) == (True, True)
    assert owner.get(f"/admin/search/?q={email}").text.count(f">{email}</a>") == 2
    assert f"Account {call.account_id}: {email}" in owner.get(f"/admin/account/details/?id={call.account_id}").text
    assert f'/admin/user/details/?id={call.user_id}">{email}<' in owner.get(f"/admin/usage/details/?id={call.id}").text


def test_no_cell_of_an_export_is_a_formula(owner: AdminClient, session: Database) -> None:
    people.person("=cmd|' /C calc'!A0")
    session.commit()
    text = owner.get("/admin/account/export/csv/", buffered=True).text
    assert ("'=Cmd|" in text, text[0]) == (True, "\ufeff")
    assert not any(
        line.startswith(("=", "+", "@", "\uff1d")) for line in text.replace('"', "").replace(",", "\n").splitlines()
    )


def test_an_export_holds_every_row_and_streams(owner: AdminClient, session: Database) -> None:
    fill(session, 1500)
    answer = owner.get("/admin/ledger/export/csv/", buffered=True)
    assert "Content-Length" not in answer.headers
    assert len(answer.text.splitlines()) >= 1500


def test_a_page_and_an_export_hold_no_connection_after_them(app: Flask, owner: AdminClient, session: Database) -> None:
    """Not until the garbage is collected either: a web process has six. A list is one page, and whole."""
    session.remove()
    paths = {rule: endpoint for rule, endpoint in gets(app).items() if "demo" not in rule}
    lists = [path for path in paths if path.startswith("/admin/") and path.count("/") == 3]
    held, failed, broken, exported = [], [], [], 0
    gc.disable()
    try:
        for path in [*paths, *(f"{path}export/csv/" for path in lists)]:
            answer = owner.get(path, buffered=True)
            failed += [path] if answer.status_code >= 500 else []
            exported += (answer.status_code, answer.mimetype) == (200, "text/csv")
            if paths.get(path, "").endswith(".index_view"):
                broken += [path] if {answer.text.count(mark) for mark in ONCE_IN_A_PAGE} != {1} else []
            with app.app_context():
                held += [path] if cast(QueuePool, db.engine.pool).checkedout() else []
    finally:
        gc.enable()
    assert (held, failed, broken) == ([], [], [])
    assert exported >= 20


ONCE_IN_A_PAGE = ('<html lang="en">', "<main", "<h1>", 'name="csrf-token"')


def gets(app: Flask) -> dict[str, str]:
    """Each address that may be looked at, and its endpoint."""
    rules = app.url_map.iter_rules()
    return {rule.rule: rule.endpoint for rule in rules if "GET" in rule.methods and "<" not in rule.rule}


ONE_OF_EACH = {"/pricing", "/chat", "/admin/", "/api/balance", "/v1/models"}
"""A page for everybody, one for an account, an admin's, a program's by either format."""


def test_a_page_is_503_where_the_connections_run_out_at_any_step(
    app: Flask, owner: AdminClient, session: Database
) -> None:
    """Also while it says that something else is wrong. Of what Flask-Admin makes for each table one of each kind."""
    session.remove()
    left, answers = [0], {}
    kinds = {name.rpartition(".")[2] if name.endswith("_view") else name: rule for rule, name in gets(app).items()}

    def take_one(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise NoConnection

    with app.app_context():
        event.listen(db.engine.pool, "checkout", take_one)
    for rule in {*ONE_OF_EACH, *sorted(kinds.values())[:: 1 if IS_LONG else 2]}:
        first = int(rule not in ONE_OF_EACH)  # all begin with one and the same look at who asks
        for steps in range(first, 3):
            left[0] = steps
            answers[rule, steps] = owner.get(rule, buffered=True).status_code
            if answers[rule, steps] != 503:
                break  # it takes no more of them
    with app.app_context():
        event.remove(db.engine.pool, "checkout", take_one)
    assert {asked: status for asked, status in answers.items() if status >= 500 and status != 503} == {}
    assert 503 in answers.values()


def test_an_export_is_filtered_as_the_list_is(owner: AdminClient, session: Database) -> None:
    fill(session, 5)
    one = session.scalars(select(Account.id).order_by(Account.id.desc())).first()
    text = owner.get(f"/admin/ledger/export/csv/?flt0_account_equals={one}", buffered=True).text
    assert len(text.splitlines()) == 2
