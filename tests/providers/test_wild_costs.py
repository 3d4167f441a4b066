"""What each vendor's stream costs by that vendor's own rule, to the nano; each with its source in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.models.catalog.rates import Rates
from app.providers.base import TOKEN_BUCKETS
from tests.providers.conftest import Vendor
from tests.support.provider_server import ProviderServer
from tests.support.replies import asking, outcome_of

SUPPORT = Path(__file__).parents[1] / "support"
SOURCES: dict[str, dict[str, Any]] = json.loads((SUPPORT / "wild_sources.json").read_text())


@pytest.mark.parametrize("name", SOURCES)
def test_a_vendor_s_stream_costs_what_its_rule_says(
    name: str, vendors: dict[str, Vendor], server: ProviderServer
) -> None:
    prices, meant = (
        SOURCES[name]["nanos_per_million"],
        json.loads((SUPPORT / "wild" / f"{name}.json").read_text()),
    )
    server.bodies[name] = (SUPPORT / "wild" / f"{name}.sse").read_bytes()

    outcome = outcome_of(vendors[meant["format"]].stream(asking(f"[[replay={name}]]")))

    rates = Rates(tokens=prices, long=prices, long_context_above=None, pieces={"images": None, "searches": 0})
    assert rates.cost_of(outcome.usage) == SOURCES[name]["cost_nanos"]


def test_every_recorded_shape_has_a_source_and_a_rule() -> None:
    assert len(SOURCES) >= 60
    for source in SOURCES.values():
        assert set(source["nanos_per_million"]) == set(TOKEN_BUCKETS)
        assert source["from"]
        assert source["rule"]
