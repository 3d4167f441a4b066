"""aider: one small task, in which it writes a file."""

import pytest

from tests.clients.conftest import Installed
from tests.clients.tools import MADE, MODELS, Gateway

PACKAGES = ("aider-chat==0.86.2",)


@pytest.mark.parametrize("model", MODELS)
def test_aider(gateway: Gateway, installed: Installed, model: str) -> None:
    aider = installed("aider", *PACKAGES).parent / "aider"
    quiet = [
        "--no-git",
        "--yes-always",
        "--no-check-update",
        "--no-show-model-warnings",
        "--analytics-disable",
    ]
    asked = [
        "--model",
        f"openai/{model}",
        "--edit-format",
        "whole",
        "--message",
        f"made.txt shall say: {MADE}",
    ]
    said = gateway.run([aider, *quiet, *asked, "made.txt"], model)
    assert (gateway.folder / "made.txt").read_text().strip() == MADE, said
