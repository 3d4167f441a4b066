"""LiteLLM's Python package, by both of its routes."""

import pytest

from tests.clients.conftest import Installed
from tests.clients.tools import HELLO, MODELS, PROGRAMS, SUNNY, Gateway

PACKAGES = ("litellm==1.110.2",)


@pytest.mark.parametrize("model", MODELS)
def test_litellm(gateway: Gateway, installed: Installed, model: str) -> None:
    told = gateway.told([installed("litellm", *PACKAGES), PROGRAMS / "litellm_sdk.py"], model)
    expected = {"whole": HELLO, "stream": HELLO, "tool": SUNNY}
    assert told == {f"{route} {name}": text for route in ("openai", "anthropic") for name, text in expected.items()}
