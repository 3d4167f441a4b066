"""Calls on both sides of the moment at which a price changes."""

from datetime import UTC, datetime

import pytest
import time_machine

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from tests.chat.conftest import Door
from tests.support.provider_server import ProviderServer

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"GEMINI_API_KEY": "canary"}


def test_a_call_pays_the_price_of_the_second_it_began(ada: Door, provider: ProviderServer) -> None:
    AIModel.named("gemini-4-argon").provider.base_url = provider.openai_url
    db.session.commit()
    provider.configure(tokens=500, input_tokens=500)
    costs = []
    for second in (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), DECEMBER):
        with time_machine.travel(second, tick=False):
            costs.append(ada.ask("hi", model="gemini-4-argon").end["cost_nanos"])

    assert costs == [6_000_000, 12_000_000]
