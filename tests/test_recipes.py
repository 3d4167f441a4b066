"""What CONTRIBUTING.md sends people to is there: each file, and each name that it says is in one."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
RECIPES = (PROJECT / "CONTRIBUTING.md").read_text().partition("## Recipes")[2]
STEPS = [step for step in re.split(r"\n(?=\d\. |\*\*|###)", RECIPES) if "`" in step]


def cited(step: str) -> list[str]:
    return re.findall(r"`([^`]+)`", step)


def files_of(step: str) -> list[Path]:
    """Those that are no placeholders: `app/providers/<vendor>.py` is to be written."""
    paths = [name for name in cited(step) if re.fullmatch(r"(app|docs|tests|migrations)/[\w./-]*\w/?", name)]
    return [PROJECT / path for path in paths]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_names_files_that_are_there(step: str) -> None:
    assert [path for path in files_of(step) if not path.exists()] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_constant_that_a_step_names_is_in_a_file_that_it_names(step: str) -> None:
    constants = {name for name in cited(step) if re.fullmatch(r"[A-Z][A-Z_]{3,}", name)}
    texts = [path.read_text() for path in files_of(step) if path.is_file()]
    if texts:
        assert {name for name in constants if not any(name in text for text in texts)} == set()
