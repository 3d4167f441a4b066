"""Anthropic's Python package."""

import pytest

from tests.clients.conftest import Installed
from tests.clients.tools import HELLO, MODELS, PROGRAMS, SUNNY, Gateway

PACKAGES = ("anthropic==2.11.0",)


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_for_python(gateway: Gateway, installed: Installed, model: str) -> None:
    told = gateway.told([installed("anthropic", *PACKAGES), PROGRAMS / "anthropic_sdk.py"], model)
    assert told == {
        "whole": HELLO,
        "stream": HELLO,
        "async": HELLO,
        "image": HELLO,
        "tool": SUNNY,
        "usage": 20,
        "count": True,
        "models": True,
    }
    assert len(gateway.calls()) == 6
