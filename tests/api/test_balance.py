"""The balance, the plan's usage, the ledger."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime

import time_machine

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from tests.chat.conftest import Door
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)


def account_of(door: Door) -> Account:
    return db.session.query(Account).order_by(Account.id.desc()).first()


def test_each_amount_of_the_balance_is_there_in_nanos_and_in_credits(door: Callable[..., Door]) -> None:
    with time_machine.travel(NOON, tick=False):
        ada = door("ada", allowance=80 * CREDIT, credits=12_345_678)
        balance = ada.balance()

    assert balance == {
        "plan": {"id": str(Plan.default().id), "name": "Free", "status": "active"},
        "allowance_nanos": 80_000_000, "allowance_credits": "80",
        "credits_nanos": 12_345_678, "credits_credits": "12.345678",
        "reserved_nanos": 0, "reserved_credits": "0",
        "available_nanos": 62_345_678, "available_credits": "62.345678",
        "spendable_nanos": 62_345_678, "spendable_credits": "62.345678",
        "daily_limit_nanos": 50_000_000, "daily_limit_credits": "50",
        "daily_used_nanos": 0, "daily_used_credits": "0",
        **dict.fromkeys(
            f"member_{figure}_{unit}" for figure in ("limit", "used", "left") for unit in ("nanos", "credits")
        ),
        "resets_at": "2100-01-01T00:00:00Z",
        "next_refill": {
            "at": "2100-01-01T00:00:00Z",
            "plan": {"id": str(Plan.default().id), "name": "Free", "status": "active"},
            "needs_payment": False,
            "amount_nanos": 500_000_000, "amount_credits": "500",
        },
        "daily_resets_at": "2026-05-07T00:00:00Z",
        **dict.fromkeys(("window_hours", "window_resets_at", "window_limit_nanos", "window_limit_credits")),
        "window_used_nanos": None, "window_used_credits": None,
    }  # fmt: skip


def test_a_limit_of_some_hours_says_what_is_used_and_when_it_resets(door: Callable[..., Door]) -> None:
    with time_machine.travel(NOON, tick=False):
        ada = door("ada", allowance=80 * CREDIT)
        account = account_of(ada)
        account.window_hours, account.window_limit_nanos = 5, 20 * CREDIT
        account.window_start, account.window_used_nanos = NOON, 8 * CREDIT
        db.session.commit()
        balance = ada.balance()

    assert balance["available_credits"] == "12"
    assert (balance["window_hours"], balance["window_limit_credits"], balance["window_used_credits"]) == (
        5,
        "20",
        "8",
    )
    assert balance["window_resets_at"] == "2026-05-06T15:00:00Z"


def test_a_plan_without_a_daily_limit_has_null_and_no_moment(door: Callable[..., Door]) -> None:
    balance = door("ada", plan=db.session.query(Plan).filter_by(name="Plus").one(), credits=CREDIT).balance()

    assert (balance["daily_limit_nanos"], balance["daily_limit_credits"], balance["daily_resets_at"]) == (None,) * 3


def test_asking_for_the_balance_gives_the_month_that_is_due(door: Callable[..., Door]) -> None:
    ada = door("ada")
    account = account_of(ada)
    account.period_end = account.billing_anchor
    db.session.commit()

    assert ada.balance()["allowance_credits"] == "500"


def test_the_plans_usage_counts_what_the_allowance_paid_in_this_period(
    door: Callable[..., Door], provider: ProviderServer
) -> None:
    ada = door("ada", allowance=500 * CREDIT)
    provider.configure(tokens=500, input_tokens=500)
    paid = ada.ask("hi").end["cost_nanos"]
    usage = ada.call("GET", "/subscription/usage").json

    assert (usage["used_nanos"], usage["limit_nanos"]) == (paid, 500 * CREDIT)
    assert paid == 6_250_000
    assert (usage["chats_used"], usage["chats_limit"], usage["plan"]["name"]) == (1, None, "Free")


def test_the_ledger_is_listed_newest_first_in_pages(ada: Door) -> None:
    account = account_of(ada)
    for number in range(4):
        LedgerEntry.post(account, "grant", f"n{number}", credits=number, reason=f"number {number}")
    db.session.commit()
    first = ada.call("GET", "/transactions?limit=3").json
    second = ada.call("GET", f"/transactions?limit=3&cursor={first['next_cursor']}").json

    assert [entry["reason"] for entry in first["items"]] == ["number 3", "number 2", "number 1"]
    assert [entry["credits_nanos"] for entry in second["items"]] == [0, 1000 * CREDIT]
    assert second["next_cursor"] is None


def test_the_ledger_as_csv_has_no_cell_that_is_a_formula(ada: Door) -> None:
    account = account_of(ada)
    for start in "=+-@\uff1d":
        LedgerEntry.post(account, "adjustment", f"key {start}", credits=-5, reason=f"{start}HYPERLINK(1)")
    db.session.commit()
    answer = ada.call("GET", "/transactions", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.mimetype == "text/csv"
    assert len(rows) == 6
    assert [row["reason"] for row in rows[:5]] == [
        "'\uff1dHYPERLINK(1)",
        "'@HYPERLINK(1)",
        "'-HYPERLINK(1)",
        "'+HYPERLINK(1)",
        "'=HYPERLINK(1)",
    ]
    assert rows[0]["credits_nanos"] == "-5"
    assert rows[0]["credits_credits"] == "-0.000005"


def test_csv_may_also_be_asked_for_in_the_address(ada: Door) -> None:
    assert ada.call("GET", "/transactions?format=csv").mimetype == "text/csv"
    assert ada.call("GET", "/transactions?format=xml").json["errors"] == {"format": ["must be json or csv."]}


def test_anothers_ledger_is_never_in_the_list(ada: Door, door: Callable[..., Door]) -> None:
    eve = door("eve")

    assert eve.call("GET", "/transactions").json["items"] == []


def test_a_member_sees_the_balance_and_no_billing(ada: Door, member_door: Callable[..., Door]) -> None:
    bob = member_door(account_of(ada).id, "bob")
    refused = bob.call("GET", "/transactions")

    assert bob.balance()["credits_credits"] == "1000"
    assert bob.balance()["member_used_nanos"] is None
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert bob.call("GET", "/subscription/usage").json["plan"]["name"]


def test_a_member_without_credits_is_told_who_can_help(ada: Door, member_door: Callable[..., Door]) -> None:
    account = account_of(ada)
    bob, carol = member_door(account.id, "bob"), member_door(account.id, "carol", "admin")
    account.credits_nanos = 0
    db.session.commit()
    member, admin = (door.call("POST", "/chats", json={}).json for door in (bob, carol))
    assert member["detail"] == f"{admin['detail']} To pay, ask an owner or admin of the account."
    assert [(one["way_out"], one["upgrade_url"]) for one in (member, admin)] == [
        ("members", "/account"),
        ("buy", "/billing"),
    ]

    unpaid = Subscription(account_id=account.id, plan_id=account.plan_id, status="unpaid", pay_url="https://pay")
    unpaid.price_cents, unpaid.currency = 2000, "usd"
    db.session.add(unpaid)
    db.session.commit()
    refused = [door.call("POST", "/chats", json={}).json for door in (bob, carol)]
    assert [(one["code"], one.get("pay_url")) for one in refused] == [
        ("subscription_unpaid", None),
        ("subscription_unpaid", "https://pay"),
    ]
