"""What was used: of a chat, by group, and as CSV."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import time_machine

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import people
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def both_databases(database_kind: str) -> None:
    """The sums are the database's work."""


def asked(door: Door, provider: ProviderServer, *, tokens: int = 500, **fields: object) -> int:
    provider.configure(tokens=tokens, input_tokens=tokens)
    return int(door.ask("hi", **fields).end["cost_nanos"])


def test_a_chats_usage_is_the_sum_of_its_calls_by_model(ada: Door, provider: ProviderServer) -> None:
    people.model("gpt-small", dollars_in="0.15", dollars_out="0.6")
    db.session.commit()
    chat = ada.new_chat()
    costs = [asked(ada, provider, chat=chat), asked(ada, provider, chat=chat, model="gpt-small")]
    usage = ada.call("GET", f"/usage/chat/{chat}").json

    assert costs == [6_250_000, 375_000]
    assert usage | {"by_model": 0} == {
        "calls": 2, "input_tokens": 1000, "output_tokens": 1000, "cost_nanos": 6_625_000, "cost_credits": "6.625",
        "by_model": 0,
    }  # fmt: skip
    assert [(row["model"], row["cost_nanos"]) for row in usage["by_model"]] == [
        ("gpt-small", 375_000),
        ("gpt-test", 6_250_000),
    ]


def test_a_chat_without_a_call_has_used_nothing(ada: Door) -> None:
    usage = ada.call("GET", f"/usage/chat/{ada.new_chat()}").json

    assert (usage["calls"], usage["cost_nanos"], usage["cost_credits"], usage["by_model"]) == (0, 0, "0", [])


def test_usage_by_day_and_model_has_the_newest_day_first(ada: Door, provider: ProviderServer) -> None:
    for day in (3, 4):
        with time_machine.travel(datetime(2026, 5, day, 12, tzinfo=UTC)):
            asked(ada, provider)
    with time_machine.travel(datetime(2026, 5, 5, tzinfo=UTC)):
        rows = ada.call("GET", "/usage?group_by=day,model").json["items"]

    assert [(row["day"], row["model"], row["calls"], row["cost_nanos"]) for row in rows] == [
        ("2026-05-04", "gpt-test", 1, 6_250_000),
        ("2026-05-03", "gpt-test", 1, 6_250_000),
    ]


def test_from_and_to_take_both_days_in(ada: Door, provider: ProviderServer) -> None:
    for day in (2, 3, 4, 5):
        with time_machine.travel(datetime(2026, 5, day, 23, 59, tzinfo=UTC)):
            asked(ada, provider)
    rows = ada.call("GET", "/usage?from=2026-05-03&to=2026-05-04").json["items"]

    assert [row["day"] for row in rows] == ["2026-05-04", "2026-05-03"]


def test_moments_bound_usage_to_the_second(ada: Door, provider: ProviderServer) -> None:
    for hour in (1, 2, 3):
        with time_machine.travel(datetime(2026, 5, 3, hour, tzinfo=UTC), tick=False):
            asked(ada, provider)
    rows = ada.call("GET", "/usage?from=2026-05-03T02:00:00Z&to=2026-05-03T03:00:00Z").json["items"]

    assert [row["calls"] for row in rows] == [1]


def test_a_question_that_cannot_be_is_refused_by_field(ada: Door) -> None:
    for query in ("from=yesterday", "to=9999-12-31", "group_by=day,secret", "from=2026-05-03&to=2026-05-01"):
        answer = ada.call("GET", f"/usage?{query}")

        assert (answer.status_code, answer.json["code"]) == (400, "invalid_request"), query
        assert set(answer.json["errors"]) <= {"from", "to", "group_by"}


def test_a_manager_sees_who_used_what_and_a_member_only_themselves(
    ada: Door, provider: ProviderServer, member_door: Callable[..., Door]
) -> None:
    bob = member_door(db.session.query(Account).order_by(Account.id.desc()).first().id, "bob")
    asked(ada, provider)
    asked(bob, provider, tokens=1000)

    def seen(door: Door) -> list[tuple[str, int]]:
        rows = door.call("GET", "/usage?group_by=user").json["items"]
        return sorted((row["user"], row["cost_nanos"]) for row in rows)

    assert seen(ada) == [("ada@example.com", 6_250_000), ("bob@example.com", 12_500_000)]
    assert seen(bob) == [("bob@example.com", 12_500_000)]


def test_usage_as_csv_is_the_same_rows(ada: Door, provider: ProviderServer) -> None:
    asked(ada, provider)
    answer = ada.call("GET", "/usage?group_by=model,operation&format=csv")

    assert list(csv.DictReader(io.StringIO(answer.text))) == [
        {
            "model": "gpt-test", "operation": "chat", "calls": "1", "input_tokens": "500", "output_tokens": "500",
            "cost_nanos": "6250000", "cost_credits": "6.25",
        }
    ]  # fmt: skip


def test_pages_of_usage_follow_each_other(ada: Door, provider: ProviderServer) -> None:
    """Also where a call ends between two of them: no row comes twice."""
    key_id = db.session.query(ApiKey).one().id
    usages = db.session.query(Usage)
    for day in (1, 3, 3, 4):
        with time_machine.travel(datetime(2026, 5, day, 12, tzinfo=UTC)):
            asked(ada, provider)
    usages.order_by(Usage.id).offset(1).first().api_key_id = None
    db.session.commit()
    path, rows, cursor = "/usage?from=2026-05-01&to=2026-05-04&group_by=day,kind,key&limit=1", [], ""
    while cursor is not None:
        page = ada.call("GET", path + cursor).json
        [row] = page["items"]
        rows.append((row["day"], row["key_id"]))
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        if len(rows) == 1:
            with time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC)):
                asked(ada, provider)
            usages.order_by(Usage.id.desc()).first().operation = "gateway"
            db.session.commit()
    assert rows == [
        ("2026-05-04", str(key_id)),
        ("2026-05-03", str(key_id)),
        ("2026-05-03", None),
        ("2026-05-01", str(key_id)),
    ]
    for junk in ("2", "WyJ4Il0", "WyIyMDI2LTA1LTA0IiwgIlx1MDAwMCIsICI5OTk5OTk5OTk5OTk5OTk5OTk5OTkiLCBudWxsXQ"):
        assert ada.call("GET", f"{path}&cursor={junk}").status_code == 400
