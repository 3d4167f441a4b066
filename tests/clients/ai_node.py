"""The `ai` package for Node, in three dialects."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import HELLO, MODELS, SUNNY, Gateway, in_folder

PACKAGES = ("ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/anthropic@4.0.105")


@pytest.mark.parametrize("model", MODELS)
def test_ai(gateway: Gateway, with_node: Callable[..., Path], model: str) -> None:
    program = in_folder(with_node("ai-node", *PACKAGES), "ai_sdk.mjs")
    told = gateway.told(["node", program], model)
    dialects = ("chat", "responses", "messages")
    assert told == {f"{way} stream": HELLO for way in dialects} | {f"{way} tool": SUNNY for way in dialects}
