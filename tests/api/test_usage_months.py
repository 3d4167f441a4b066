"""What each month came to, and the plan's numbers: the seeds' example plans, set up in the admin, hold."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.models.base import utcnow
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.metering.usage_rollup import add_up
from tests.admin.conftest import AdminClient, client_of, owner
from tests.chat.conftest import Door
from tests.documents.conftest import new
from tests.support import Database

__all__ = ["client_of", "owner"]
pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
EXAMPLES = {"Try": (5, 2), "Work": (100, 10), "All": (-1, "")}


@pytest.fixture
def on_plan(owner: AdminClient, ada: Door, session: Database) -> Callable[[str], None]:
    """`on_plan("Try")`: ada on that example plan, made in the admin."""
    account_id = session.query(Account.id).order_by(Account.id.desc()).first()[0]
    ids = [row.id for row in session.query(Account.id).filter(Account.credits_nanos > 0)] or [account_id]
    for name, (chats, documents) in EXAMPLES.items():
        made = owner.fill("/admin/plan/new/", name=name, price_cents="1", chats_per_month=chats, documents=documents)
        assert made.status_code == 302, made.text

    def change(name: str) -> None:
        session.rollback()
        plan = session.query(Plan).filter_by(name=name).one()
        session.query(Account).filter(Account.id.in_(ids)).update({"plan_id": plan.id})
        session.commit()

    return change


def test_the_example_plans_hold(ada: Door, on_plan: Callable[[str], None]) -> None:
    on_plan("Try")
    for number in range(2):
        answer = ada.call("POST", "/documents", json={"content": f"document {number}"})
        assert answer.headers["X-Documents-Remaining"] == str(1 - number)
    refused = ada.call("POST", "/documents", json={"content": "third"})
    assert (refused.json["code"], refused.json["used"], refused.json["limit"]) == (
        "document_limit_reached",
        2,
        2,
    )
    for number in range(5):
        answer = ada.call("POST", "/chats", json={"model": "gpt-test"})
        assert answer.headers["X-Chats-Remaining"] == str(4 - number)
    refused = ada.call("POST", "/chats", json={"model": "gpt-test"})
    assert refused.headers["X-Chats-Remaining"] == "0"
    assert (refused.json["code"], refused.json["used"], refused.json["remaining"]) == (
        "chat_limit_reached",
        5,
        0,
    )
    on_plan("Work")
    new(ada, "third")
    usage = ada.call("GET", "/subscription/usage").json
    assert [usage[name] for name in ("documents_used", "documents_limit", "chats_used", "chats_limit")] == [
        3,
        10,
        5,
        100,
    ]
    on_plan("All")
    assert ada.call("GET", "/subscription/usage").json["documents_limit"] is None


def test_a_month_counts_chats_documents_calls_and_cost(ada: Door, session: Database) -> None:
    ada.ask("hello")
    new(ada, "by hand")
    ada.call("POST", "/documents", json={"instructions": "write"}, buffered=True)
    [month] = ada.call("GET", "/usage/months").json["items"]
    assert month["month"] == f"{utcnow():%Y-%m}"
    assert (month["chats"], month["documents"], month["calls"], month["images"]) == (1, 2, 2, 0)
    paid = sum(row["cost_nanos"] for row in ada.call("GET", "/usage?group_by=operation").json["items"])
    assert month["cost_nanos"] == paid > 0


def test_months_are_the_same_once_they_are_added_up(ada: Door, session: Database) -> None:
    ada.ask("hello")
    before = ada.call("GET", "/usage/months").json
    session.rollback()
    add_up(utcnow() + timedelta(hours=1))
    session.commit()
    assert ada.call("GET", "/usage/months").json == before
