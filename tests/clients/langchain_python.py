"""LangChain's package for OpenAI's format."""

import pytest

from tests.clients.conftest import Installed
from tests.clients.tools import HELLO, MODELS, PROGRAMS, SUNNY, Gateway

PACKAGES = ("langchain-openai==1.7.4",)


@pytest.mark.parametrize("model", MODELS)
def test_langchain_openai(gateway: Gateway, installed: Installed, model: str) -> None:
    told = gateway.told([installed("langchain", *PACKAGES), PROGRAMS / "langchain_sdk.py"], model)
    assert told == {"whole": HELLO, "stream": HELLO, "tool": SUNNY, "vectors": [256, 256]}
