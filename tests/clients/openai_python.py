"""OpenAI's Python package."""

import pytest

from tests.clients.conftest import Installed
from tests.clients.tools import HELLO, MODELS, PROGRAMS, SUNNY, Gateway

PACKAGES = ("openai==3.52.0",)


@pytest.mark.parametrize("model", MODELS)
def test_openai_for_python(gateway: Gateway, installed: Installed, model: str) -> None:
    told = gateway.told([installed("openai", *PACKAGES), PROGRAMS / "openai_sdk.py"], model)
    assert told == {
        "whole": HELLO,
        "stream": HELLO,
        "async": HELLO,
        "image": HELLO,
        "cost": True,
        "models": True,
        "tool": SUNNY,
        "response": "The tool said: Rome is warm",
        "vectors": [256, 256],
    }
    assert len(gateway.calls()) == 9
