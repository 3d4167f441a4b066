"""The pages of usage, receipts and transactions: right sums, and nobody else's."""

import csv
import html
import io
import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from app.extensions import db
from app.generation.jobs import add_up_calls
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.metering.call_ending import NOTES
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import AccountDay
from app.web.csv import BYTE_ORDER_MARK
from tests.support import Database, people
from tests.support.peak_memory import with_peak
from tests.support.people import CREDIT, PASSWORD

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
NUMBERS = itertools.count()


@pytest.fixture
def offered(session: Database) -> tuple[AIModel, ModelPrice]:
    model = people.model("gpt-test")
    return model, model.prices[0]


@pytest.fixture
def spend(session: Database, offered: tuple[AIModel, ModelPrice]) -> Callable[..., Usage]:
    """`spend(account, credits, days=ago)`: a call that was paid from the credits."""

    def call(account: Account, credits: int, *, days: int = 0, user_id: int | None = None) -> Usage:
        at = utcnow() - timedelta(days=days)
        used = Usage(account_id=account.id, user_id=user_id or account.memberships[0].user_id, created_at=at)
        used.model, used.price_id, used.day, used.settled_at = offered[0].name, offered[1].id, at.date(), at
        used.state, used.outcome, used.reserved_nanos, used.max_output_tokens = "settled", "done", CREDIT * 50, 100
        used.uncached_input, used.output, used.source = 500, 500, "reported"
        used.cost_nanos = used.credits_paid_nanos = credits * CREDIT
        account.credits_nanos -= credits * CREDIT
        session.add(used)
        session.commit()
        return used

    return call


def signed_in(client: FlaskClient, name: str) -> FlaskClient:
    page = client.get("/login").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    form = {"csrf_token": token[1], "email": f"{name}@example.com", "password": PASSWORD}
    assert client.post("/login", data=form).status_code == 302
    return client


def test_the_usage_page_adds_up_the_period(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    ada = people.person("ada", credits=100 * CREDIT)
    for credits, days in ((3, 0), (4, 5), (90, 40)):
        spend(ada, credits, days=days)
    page = signed_in(client, "ada").get("/billing/usage").text
    assert "7 credits in 2 calls" in page


def test_the_page_says_the_same_of_days_that_are_added_up(
    client: FlaskClient, spend: Callable[..., Usage], session: Database
) -> None:
    ada = people.person("ada", credits=100 * CREDIT)
    for credits, days in ((3, 0), (4, 5), (2, 5), (90, 40)):
        spend(ada, credits, days=days)
    used = spend(ada, 7, days=3)
    used.chat_id = chat_of(ada, session)
    session.commit()
    before = figures(signed_in(client, "ada").get("/billing/usage").text)
    add_up_calls()
    assert session.query(AccountDay).count() > 0
    after = figures(client.get("/billing/usage").text)
    assert before == after
    assert "Tides" in " ".join(after)


def chat_of(account: Account, session: Database) -> int:
    chat = Chat(account_id=account.id, user_id=account.memberships[0].user_id, title="Tides", model="gpt-test")
    session.add(chat)
    session.flush()
    return chat.id


def figures(page: str) -> list[str]:
    """What stands in the tables of the page, and the sum above them."""
    return [*re.findall(r"<td[^>]*>(.*?)</td>", page), *re.findall(r"<h1>Usage</h1><p>(.*?)</p>", page)]


def test_another_period_can_be_chosen(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    ada = people.person("ada", credits=100 * CREDIT)
    for credits, days in ((3, 0), (4, 40)):
        spend(ada, credits, days=days)
    signed_in(client, "ada")
    assert "3 credits in 1 call since" in client.get("/billing/usage?days=7").text
    assert "7 credits in 2 calls since" in client.get("/billing/usage?days=90").text


def test_a_member_sees_their_own_use_and_an_owner_everybodys(
    client: FlaskClient, session: Database, spend: Callable[..., Usage]
) -> None:
    ada, bob = people.person("ada", credits=100 * CREDIT), people.person("bob")
    bobs = bob.memberships[0].user_id
    session.add(Membership(account_id=ada.id, user_id=bobs, role="member"))
    spend(ada, 3)
    spend(ada, 4, user_id=bobs)
    owner = signed_in(client, "ada").get("/billing/usage").text
    assert "7 credits in 2 calls" in owner
    assert "Bob" in owner
    assert "Bob (" not in owner
    other = signed_in(client.application.test_client(), "bob")
    token = re.search(r'name="csrf-token" content="([^"]+)"', other.get("/account").text)
    assert token
    other.post("/account/switch", data={"csrf_token": token[1], "account_id": ada.id})
    member = other.get("/billing/usage").text
    assert "4 credits in 1 call since" in member
    assert other.get("/billing/transactions").status_code == 403


def test_namesakes_are_told_apart_and_the_deleted_are_one(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    ada, bob, eve = (people.person(name, credits=99 * CREDIT) for name in ("ada", "bob", "eve"))
    bob.owner.name = "Ada"
    eve.owner.erase()
    assert [spend(ada, credits, user_id=who.owner.id) for credits, who in ((3, ada), (4, bob), (5, eve))]
    told = figures(signed_in(client, "ada").get("/billing/usage").text)
    named = "Ada (ada@example.com)", "Ada (bob@example.com)", "Deleted members"
    assert [told[told.index(name) + 4] for name in named] == ["3", "4", "5"]


def test_a_receipt_can_be_computed_again(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    call = spend(people.person("ada", credits=100 * CREDIT), 6)
    page = signed_in(client, "ada").get(f"/billing/calls/{call.id}").text
    assert re.search(r"Input</td><td[^>]*>500</td><td[^>]*>2,500 / 1M</td><td[^>]*>1.25</td>", page)
    assert re.search(r"Output, including thinking</td><td[^>]*>500</td><td[^>]*>10,000 / 1M</td><td[^>]*>5</td>", page)


VIA_GATEWAY = {"operation": "gateway"}
ENDS: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("stop", {}, "words", None),
    ("stop", {"output": 0}, None, "empty"),
    ("stop", {}, " \n", "empty"),
    ("a reason of its own", {"output": 0}, None, "empty"),
    ("stop", VIA_GATEWAY | {"output": 0, "max_output_tokens": 0}, None, None),
    ("length", {}, "words", "length"),
    ("length", VIA_GATEWAY, None, None),
    ("length", VIA_GATEWAY | {"shortened_from": 900}, None, "shortened"),
    ("tool_calls", VIA_GATEWAY, None, None),
]
"""Why a call ended, its other columns, what stands in the chat, and which note its receipt has."""


def test_a_receipt_says_how_it_ended(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    account = people.person("ada", credits=100 * CREDIT)
    db.session.commit()
    signed_in(client, "ada")
    for finish, columns, written, note in ENDS:
        call = spend(account, 3)
        for name, value in ({"finish_reason": finish} | columns).items():
            setattr(call, name, value)
        if written is not None:
            answer(call, written)
        db.session.commit()
        page = html.unescape(client.get(f"/billing/calls/{call.id}").text)
        assert [name for name, text in NOTES.items() if text in page] == ([note] if note else []), columns


def answer(call: Usage, text: str) -> None:
    """In a chat of its own."""
    chat = Chat(account_id=call.account_id, user_id=call.user_id, model=call.model)
    db.session.add(chat)
    db.session.flush()
    whose = {"account_id": call.account_id, "chat_id": chat.id, "call_id": call.id}
    db.session.add(Message(**whose, role="assistant", content=text))


def balances_after(page: str) -> list[str]:
    return re.findall(r'<td class="end"[^>]*>([-\d.,]+)</td>\s*</tr>', page)


def test_transactions_show_the_balance_after_each_change(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    ada = people.person("ada", credits=100 * CREDIT)
    spend(ada, 6)
    spend(ada, 4).operation = "title"
    db.session.commit()
    page = signed_in(client, "ada").get("/billing/transactions").text
    assert balances_after(page)[:3] == ["90", "94", "100"]
    assert re.findall(r">([\w ]+, gpt-test)<", page) == ["Chat title, gpt-test", "Chat message, gpt-test"]


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.integers(-20, 20).filter(bool), min_size=1, max_size=70))
def test_the_export_is_the_table_and_adds_up(
    client: FlaskClient, spend: Callable[..., Usage], changes: list[int]
) -> None:
    ada = people.person(f"ada{next(NUMBERS)}", credits=2000 * CREDIT)
    for change in changes:
        if change > 0:
            spend(ada, change)
        else:
            people.give(ada, credits=-change * CREDIT)
    db.session.commit()
    browser = signed_in(client.application.test_client(), ada.owner.email.partition("@")[0])
    text = browser.get("/billing/transactions.csv", headers={"Accept": "text/html"}).text
    assert text.startswith(BYTE_ORDER_MARK)
    lines = list(csv.DictReader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK))))
    after = [Decimal(line["balance_after"]) for line in lines]
    moved = [Decimal(line["allowance_credits"]) + Decimal(line["credits_credits"]) for line in lines]
    assert after == [before + change for before, change in zip([*after[1:], Decimal(0)], moved, strict=True)]
    assert after[0] == 2000 - sum(changes)
    shown = balances_after(browser.get("/billing/transactions").text)
    assert [Decimal(text.replace(",", "")) for text in shown] == after[:50]


def test_billing_says_how_long_the_balance_lasts(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    """A third of what the last four to five days took, at whatever hour this runs."""
    ada = people.person("ada", credits=100_000 * CREDIT)
    for days in (0, 2, 4):
        spend(ada, 25_000, days=days)
    spend(ada, 1_000, days=40)
    assert "About 1 day left at this pace" in signed_in(client, "ada").get("/billing").text


def test_the_list_of_calls_is_as_long_as_it_says(
    client: FlaskClient, spend: Callable[..., Usage], session: Database
) -> None:
    ada = people.person("ada", credits=100 * CREDIT)
    for days in (0, 3, 3, 40):
        spend(ada, 2, days=days)
    released = spend(ada, 1)
    released.state, released.credits_paid_nanos = "released", 0
    session.commit()
    page = signed_in(client, "ada").get("/billing/usage?days=30").text
    assert "6 credits in 3 calls since" in page
    assert "and 1 that costs nothing" in page
    assert "4 in this period" in page
    assert page.count('href="/billing/calls/') == 4


def test_older_transactions_go_on_where_the_page_ends(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    ada = people.person("ada", credits=100 * CREDIT)
    for _ in range(52):
        spend(ada, 1)
    first = signed_in(client, "ada").get("/billing/transactions").text
    older = re.search(r'href="(/billing/transactions\?until=[^"]+)"', first)
    assert older
    assert balances_after(first)[-1] == "97"
    assert balances_after(client.get(older[1]).text)[0] == "98"


def test_a_malformed_moment_is_no_fault(client: FlaskClient, spend: Callable[..., Usage]) -> None:
    spend(people.person("ada", credits=100 * CREDIT), 1)
    signed_in(client, "ada")
    for moment in ("x", "9999999-01-01", "2026-01-01T00:00:00"):
        assert client.get(f"/billing/transactions?until={moment}").status_code == 200, moment


def test_a_long_export_is_read_a_few_rows_at_a_time(
    client: FlaskClient, offered: tuple[AIModel, ModelPrice], session: Database
) -> None:
    """1,500 calls are 7 MB as objects, and 1 MB as lines of the page."""
    ada, now = people.person("ada"), utcnow()
    row = {"account_id": ada.id, "user_id": ada.owner.id, "model": "gpt-test", "price_id": offered[1].id}
    row |= {"state": "settled", "outcome": "done", "reserved_nanos": 1, "max_output_tokens": 1, "source": "reported"}
    row |= {"cost_nanos": 1, "credits_paid_nanos": 1, "created_at": now, "settled_at": now, "day": now.date()}
    session.execute(insert(Usage), [row] * 1_500)
    session.commit()
    browser = signed_in(client, "ada")
    answer, peak = with_peak(lambda: browser.get("/billing/transactions.csv"))
    assert (answer.text.count("\n"), peak < 2_000_000) == (1_501, True), peak
