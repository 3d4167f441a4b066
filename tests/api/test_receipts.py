"""The receipt of a call: anybody can compute the charge again."""

from collections.abc import Callable
from typing import Any

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.identity.account import Account
from tests.chat.conftest import Door
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer


def receipt(door: Door, call_id: str) -> dict[str, Any]:
    answer = door.call("GET", f"/usage/calls/{call_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def computed(receipt: dict[str, Any]) -> int:
    """The formula of the receipt, worked out by hand from its lines."""
    tokens = sum(line["quantity"] * line["price_nanos"] for line in receipt["lines"] if line["per"] == 1_000_000)
    pieces = sum(line["quantity"] * line["price_nanos"] for line in receipt["lines"] if line["per"] == 1)
    return (tokens + 500_000) // 1_000_000 + pieces


def test_the_lines_of_a_receipt_come_to_its_cost(ada: Door, provider: ProviderServer) -> None:
    provider.configure(tokens=777, input_tokens=1234, cached=1000)
    ended = ada.ask("hi", model="gpt-4o-mini").end
    shown = receipt(ada, ended["call_id"])

    assert [(line["bucket"], line["quantity"], line["price_nanos"]) for line in shown["lines"]] == [
        ("uncached_input", 234, 150_000_000), ("cache_read", 1000, 75_000_000), ("output", 777, 600_000_000),
    ]  # fmt: skip
    assert computed(shown) == shown["cost_nanos"] == shown["provider_cost_nanos"] == ended["cost_nanos"] == 576_300


def test_a_receipt_says_who_paid_and_what_was_reported(door: Callable[..., Door], provider: ProviderServer) -> None:
    ada = door("ada", allowance=4 * CREDIT, credits=100 * CREDIT)
    provider.configure(tokens=500, input_tokens=500)
    heard = ada.ask("hi")
    shown = receipt(ada, heard.end["call_id"])

    assert (shown["allowance_paid_credits"], shown["credits_paid_credits"], shown["absorbed_nanos"]) == (
        "4",
        "2.25",
        0,
    )
    assert (shown["source"], shown["estimated"], shown["state"], shown["outcome"]) == (
        "reported",
        False,
        "settled",
        "done",
    )
    assert shown["raw_usage"]["prompt_tokens"] == 500
    assert (shown["message_id"], shown["ceiling_nanos"]) == (
        heard.start["message_id"],
        heard.start["ceiling_nanos"],
    )


def test_the_receipt_keeps_the_price_of_its_time(ada: Door, provider: ProviderServer) -> None:
    provider.configure(tokens=500, input_tokens=500)
    call_id = ada.ask("hi", model="gpt-4o-mini").end["call_id"]
    before = receipt(ada, call_id)
    model = AIModel.named("gpt-4o-mini")
    copied = {column.key: getattr(model.prices[0], column.key) for column in model.prices[0].__table__.columns}
    copied |= {"id": None, "effective_from": utcnow(), "output_nanos": 9_000_000_000}
    db.session.add(type(model.prices[0])(**copied))
    db.session.commit()

    assert receipt(ada, call_id) == before
    assert ada.ask("hi", model="gpt-4o-mini").end["cost_nanos"] > before["cost_nanos"]


def test_a_member_sees_own_receipts_and_a_manager_all(ada: Door, member_door: Callable[..., Door]) -> None:
    bob = member_door(db.session.query(Account).order_by(Account.id.desc()).first().id, "bob")
    adas, bobs = ada.ask("hi").end["call_id"], bob.ask("hi").end["call_id"]

    assert [bob.call("GET", f"/usage/calls/{call}").status_code for call in (adas, bobs)] == [404, 200]
    assert [ada.call("GET", f"/usage/calls/{call}").status_code for call in (adas, bobs)] == [200, 200]
