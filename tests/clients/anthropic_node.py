"""Anthropic's package for Node."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import HELLO, MODELS, SUNNY, Gateway, in_folder

PACKAGES = ("@anthropic-ai/sdk@1.10.0",)


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_for_node(gateway: Gateway, with_node: Callable[..., Path], model: str) -> None:
    program = in_folder(with_node("anthropic-node", *PACKAGES), "anthropic_sdk.mjs")
    told = gateway.told(["node", program], model)
    assert told == {"whole": HELLO, "stream": HELLO, "usage": 20, "tool": SUNNY}
