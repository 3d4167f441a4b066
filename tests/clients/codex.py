"""Codex: one small task, in which it runs a command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import MADE, MODELS, Gateway

PACKAGES = ("@openai/codex@0.169.0",)


@pytest.mark.parametrize("model", MODELS)
def test_codex(gateway: Gateway, with_node: Callable[..., Path], model: str) -> None:
    codex = with_node("codex", *PACKAGES) / "node_modules" / ".bin" / "codex"
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    said = gateway.run([codex, "exec", *free, "-m", model, "Make the file made.txt."], model)
    assert MADE in said
    assert (gateway.folder / "made.txt").read_text().strip() == MADE
