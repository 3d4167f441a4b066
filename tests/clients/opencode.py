"""opencode: one small task, in which it runs a command, in each format that it knows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import ANTHROPIC_MODEL, MADE, OPENAI_MODEL, Gateway

PACKAGES = ("opencode-ai@1.18.33",)
SETTINGS = {"autoupdate": False, "share": "disabled", "permission": {"bash": "allow"}}


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", OPENAI_MODEL),
        ("anthropic", ANTHROPIC_MODEL),
        ("tollgate", OPENAI_MODEL),
        ("tollgate", ANTHROPIC_MODEL),
    ],
)
def test_opencode(gateway: Gateway, with_node: Callable[..., Path], provider: str, model: str) -> None:
    """Its own providers speak responses and messages, one that is told by its address chat completions."""
    options = {"baseURL": f"{gateway.url}/v1", "apiKey": gateway.key}
    own = {"npm": "@ai-sdk/openai-compatible", "models": {model: {}}} if provider == "tollgate" else {}
    settings = SETTINGS | {"small_model": f"{provider}/{model}", "provider": {provider: {"options": options, **own}}}
    (gateway.folder / "opencode.json").write_text(json.dumps(settings))
    opencode = with_node("opencode", *PACKAGES) / "node_modules" / ".bin" / "opencode"
    said = gateway.run([opencode, "run", "-m", f"{provider}/{model}", "Make the file made.txt."], model)
    assert MADE in said
    assert (gateway.folder / "made.txt").read_text().strip() == MADE
