"""The tier that really served a call prices it, at the tiers that the price list has, never above the reservation."""

import pytest

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from tests.chat.conftest import Door
from tests.chat.test_endings import QUESTION, answered_by, call_of
from tests.support import Database, people
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def offered_at(door: Door, name: str) -> str:
    """The input's price of a model on offer."""
    offered = {model["id"]: model for model in door.call("GET", "/models").json["items"]}
    return str(offered[name]["input_credits_per_mtok"])


@pytest.mark.parametrize(
    ("asked", "served", "paid"),
    [
        (None, "flex", 100 * 1_250 + 10 * 5_000),
        (None, "Flex", 100 * 1_250 + 10 * 5_000),
        (None, "priority", 100 * 2_500 + 10 * 10_000),
        (None, "on_demand", 100 * 2_500 + 10 * 10_000),
        ("flex", None, 100 * 1_250 + 10 * 5_000),
        ("flex", "flex", 100 * 1_250 + 10 * 5_000),
        ("flex", "default", 100 * 2_500 + 10 * 10_000),
        ("default", "flex", 100 * 1_250 + 10 * 5_000),
    ],
)
def test_a_call_is_priced_by_the_tier_that_served(
    ada: Door, provider: ProviderServer, session: Database, asked: str | None, served: str | None, paid: int
) -> None:
    model = session.query(AIModel).filter_by(name="gpt-test").one()
    model.provider.service_tier = asked
    session.add(people.price(model, "1.25", "5", service_tier="flex"))
    session.commit()
    provider.bodies["fallback"] = answered_by("gpt-test", tier=served)
    stream = ada.ask(QUESTION)
    call = call_of(session, stream)

    per_input = 1250 if asked == "flex" else 2500
    assert stream.start["ceiling_nanos"] >= len(QUESTION) * per_input
    assert (call.service_tier, call.cost_nanos, call.paid_nanos) == (served, paid, paid)
    assert ada.call("GET", f"/usage/calls/{call.id}").json["price"]["service_tier"] == call.price.tier
    assert list(audit()) == []
    assert audit_calls().all() == []


def test_the_tier_that_is_asked_for_is_what_a_model_is_offered_at(ada: Door, session: Database) -> None:
    model = session.query(AIModel).filter_by(name="gpt-test").one()
    session.add(people.price(model, "1.25", "5", service_tier="flex"))
    session.commit()
    before = offered_at(ada, "gpt-test")
    model.provider.service_tier = "flex"
    session.commit()

    assert (before, offered_at(ada, "gpt-test")) == ("2500", "1250")
