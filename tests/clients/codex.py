"""Codex: one small task, in which it runs a command, and one with a tool of a server, whose tools are a namespace.

The address is a setting of its own, the key CODEX_API_KEY.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import MADE, MODELS, PROGRAMS, Gateway

PACKAGES = ("@openai/codex@0.169.0",)


Run = Callable[..., str]


@pytest.fixture
def run(gateway: Gateway, with_node: Callable[..., Path]) -> Run:
    """`run(model, task, "-c", ...)`: what Codex said."""
    codex = with_node("codex", *PACKAGES) / "node_modules" / ".bin" / "codex"
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    address = ["-c", f'openai_base_url="{gateway.url}/v1"']

    def ask(model: str, task: str, *options: str) -> str:
        command = [codex, "exec", *address, *free, *options, "-m", model, task]
        return gateway.run(command, model, CODEX_API_KEY=gateway.key)

    return ask


@pytest.mark.parametrize("model", MODELS)
def test_codex(gateway: Gateway, run: Run, model: str) -> None:
    assert MADE in run(model, "Make the file made.txt.")
    assert (gateway.folder / "made.txt").read_text().strip() == MADE


@pytest.mark.parametrize("model", MODELS)
def test_codex_with_a_tool_of_a_server(run: Run, model: str) -> None:
    server = {"command": sys.executable, "args": [str(PROGRAMS / "weather.py")]}
    options = [f"mcp_servers.weather.{name}={json.dumps(value)}" for name, value in server.items()]
    said = run(model, "How is Rome?", *(word for option in options for word in ("-c", option)))
    assert "Rome is sunny" in said
