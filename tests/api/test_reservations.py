"""Credits held and settled over HTTP: the gate's refusals, one charge, a lease that ends by itself."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from app.extensions import db
from app.models.billing.audit import audit
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.payments import sweeper
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def both_databases(database_kind: str, session: Database) -> Iterator[None]:
    """Whatever happens, every balance is explained."""
    yield
    db.session.rollback()
    assert list(audit()) == []


@pytest.fixture
def marked(ada: Door) -> Door:
    """ada's key, marked by its owner."""
    key = db.session.query(ApiKey).order_by(ApiKey.id.desc()).first()
    key.scopes = "read spend hold"
    db.session.commit()
    return ada


def hold(door: Door, **fields: Any) -> dict[str, Any]:
    answer = door.call("POST", "/reservations", json=fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_a_models_call_is_held_at_its_ceiling_and_charged_by_its_price(marked: Door) -> None:
    one = hold(marked, model="gpt-test", input_tokens=1000, max_output_tokens=500)
    assert (one["ceiling_nanos"], one["model"]) == (1000 * 2500 + 500 * 10_000, "gpt-test")
    assert marked.balance()["reserved_nanos"] == one["ceiling_nanos"]
    usage = {"prompt_tokens": 500, "completion_tokens": 500, "total_tokens": 1000}
    receipts = [marked.call("POST", f"/reservations/{one['id']}/settle", json={"usage": usage}).json for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert (receipts[0]["cost_nanos"], receipts[0]["outcome"]) == (6_250_000, "done")
    assert marked.balance()["credits_nanos"] == 1000 * CREDIT - 6_250_000
    assert marked.balance()["reserved_nanos"] == 0


def test_an_amount_is_held_for_any_operation(marked: Door) -> None:
    one = hold(marked, operation="summary", ceiling_credits="900")
    assert (one["ceiling_credits"], one["operation"]) == ("900", "held:summary")
    receipt = marked.call("POST", f"/reservations/{one['id']}/settle", json={"cost_credits": "12.345678"}).json
    assert (receipt["cost_credits"], receipt["provider_cost_credits"]) == ("12.345678", "12.345678")
    over = hold(marked, operation="summary", ceiling_credits="2")
    receipt = marked.call("POST", f"/reservations/{over['id']}/settle", json={"cost_credits": "3"}).json
    assert (receipt["cost_credits"], receipt["absorbed_credits"]) == ("2", "1")


def test_what_is_released_costs_nothing(marked: Door) -> None:
    one = hold(marked, operation="summary", ceiling_credits="10")
    receipt = marked.call("POST", f"/reservations/{one['id']}/release").json
    assert (receipt["state"], receipt["cost_nanos"]) == ("released", 0)
    assert marked.balance()["available_credits"] == "1000"
    late = marked.call("POST", f"/reservations/{one['id']}/settle", json={"cost_credits": "1"})
    assert (late.status_code, late.json["code"]) == (409, "reservation_ended")


def test_the_lease_ends_by_itself_unless_it_is_renewed(marked: Door) -> None:
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False) as clock:
        one = hold(marked, operation="summary", ceiling_credits="10")
        two = hold(marked, operation="summary", ceiling_credits="10")
        clock.shift(timedelta(seconds=100))
        renewed = marked.call("POST", f"/reservations/{two['id']}/renew").json
        assert renewed["expires_at"] > one["expires_at"]
        clock.shift(timedelta(seconds=60))
        sweeper.sweep()
        assert marked.balance()["reserved_credits"] == "10"
        assert marked.call("POST", f"/reservations/{one['id']}/renew").status_code == 409


def test_the_gate_refuses_what_the_balance_does_not_cover(marked: Door) -> None:
    Setting.put("overdraft", 0)
    db.session.query(Account).update({"breaker": "off"})
    db.session.commit()
    wanted = {"operation": "summary", "ceiling_credits": "1001"}
    refused = marked.call("POST", "/reservations", json=wanted)
    assert (refused.status_code, refused.json["code"]) == (402, "request_too_large")
    assert (refused.json["needed_credits"], refused.json["available_credits"]) == ("1001", "1000")
    hold(marked, operation="summary", ceiling_credits="600")
    assert (
        marked.call("POST", "/reservations", json=wanted | {"ceiling_credits": "500"}).json["code"]
        == "credits_reserved"
    )
    assert marked.balance()["reserved_credits"] == "600"


def test_an_amount_asks_no_model_and_passes_no_limit(marked: Door) -> None:
    """A plan's or key's models say which models may be asked."""
    key = db.session.query(ApiKey).order_by(ApiKey.id.desc()).first()
    key.account.plan.models = key.models = ["gpt-other"]
    key.total_limit_nanos = 3 * CREDIT
    db.session.commit()
    hold(marked, operation="summary", ceiling_credits="1")
    refused = marked.call("POST", "/reservations", json={"operation": "summary", "ceiling_credits": "2.5"})
    assert (refused.status_code, refused.json["code"], refused.json["left_credits"]) == (429, "key_limit_reached", "2")


def test_only_keys_that_an_owner_marked_may_hold(ada: Door, door: Callable[..., Door]) -> None:
    refused = ada.call("POST", "/reservations", json={"operation": "summary", "ceiling_credits": "1"})
    assert (refused.status_code, refused.json["code"]) == (403, "key_scope")


WRONG: tuple[dict[str, str], ...] = (
    {},
    {"model": "gpt-test"},
    {"operation": "x"},
    {"ceiling_credits": "1"},
    {"operation": "x", "ceiling_credits": "0"},
)


def test_what_is_missing_is_named(marked: Door) -> None:
    for fields in WRONG:
        assert marked.call("POST", "/reservations", json=fields).json["code"] == "invalid_request", fields


def test_a_running_answer_is_no_reservation(marked: Door) -> None:
    call = marked.ask("hello").end["call_id"]
    assert marked.call("POST", f"/reservations/{call}/release").status_code == 404
