"""Claude Code: one small task, in which it runs a command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import MADE, MODELS, Gateway

PACKAGES = ("@anthropic-ai/claude-code@2.1.328",)


@pytest.mark.parametrize("model", MODELS)
def test_claude_code(gateway: Gateway, with_node: Callable[..., Path], model: str) -> None:
    claude = with_node("claude-code", *PACKAGES) / "node_modules" / ".bin" / "claude"
    task = [claude, "-p", "Make the file made.txt.", "--model", model, "--allowedTools", "Bash"]
    said = gateway.run(task, model, ANTHROPIC_DEFAULT_HAIKU_MODEL=model)
    assert MADE in said
    assert (gateway.folder / "made.txt").read_text().strip() == MADE
