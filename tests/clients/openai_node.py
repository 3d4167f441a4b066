"""OpenAI's package for Node."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import HELLO, MODELS, SUNNY, Gateway, in_folder

PACKAGES = ("openai@7.55.0",)


@pytest.mark.parametrize("model", MODELS)
def test_openai_for_node(gateway: Gateway, with_node: Callable[..., Path], model: str) -> None:
    program = in_folder(with_node("openai-node", *PACKAGES), "openai_sdk.mjs")
    told = gateway.told(["node", program], model)
    assert told == {"whole": HELLO, "stream": HELLO, "tool": SUNNY, "response": HELLO, "vectors": [256, 256]}
