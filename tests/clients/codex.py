"""Codex: one small task, in which it runs a command. The address is a setting of its own, the key CODEX_API_KEY."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.tools import MADE, MODELS, Gateway

PACKAGES = ("@openai/codex@0.169.0",)


@pytest.mark.parametrize("model", MODELS)
def test_codex(gateway: Gateway, with_node: Callable[..., Path], model: str) -> None:
    codex = with_node("codex", *PACKAGES) / "node_modules" / ".bin" / "codex"
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    address = ["-c", f'openai_base_url="{gateway.url}/v1"']
    task = [codex, "exec", *address, *free, "-m", model, "Make the file made.txt."]
    said = gateway.run(task, model, CODEX_API_KEY=gateway.key)
    assert MADE in said
    assert (gateway.folder / "made.txt").read_text().strip() == MADE
