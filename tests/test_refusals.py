"""Refusals carry no text: `app/web/refusals.py` has the status and the sentence of each code."""

import ast
from collections.abc import Iterator
from pathlib import Path

from app.web.refusals import FOR_GUESTS, REFUSALS

APP = Path(__file__).parents[1] / "app"
BY_A_LIMIT = {"guest_limit_reached"}
"""What the limiter names: `bounded_for_guests`."""

DECISIONS = APP / "models/metering/decision.py"


def codes_raised() -> Iterator[str]:
    for file in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Refusal"), args=[ast.Constant(value=str(code)), *_]):
                    yield code
    for node in ast.walk(ast.parse(DECISIONS.read_text())):
        if isinstance(node, ast.Constant) and node.value in REFUSALS:
            yield node.value


def test_every_code_that_is_raised_has_a_sentence_and_no_other_has() -> None:
    assert set(codes_raised()) | BY_A_LIMIT == set(REFUSALS) >= set(FOR_GUESTS)
