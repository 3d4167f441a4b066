"""OpenAI's Agents SDK, in both of OpenAI's formats."""

import pytest

from tests.clients.conftest import Installed
from tests.clients.tools import MODELS, PROGRAMS, SUNNY, Gateway

PACKAGES = ("openai-agents==0.24.0",)


@pytest.mark.parametrize("model", MODELS)
def test_openai_agents(gateway: Gateway, installed: Installed, model: str) -> None:
    told = gateway.told([installed("agents", *PACKAGES), PROGRAMS / "agents_sdk.py"], model)
    assert told == {f"{name}{how}": SUNNY for name in ("chat", "responses") for how in ("", " stream", " later")}
