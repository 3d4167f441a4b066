"""A stateful property test: whatever happens in whatever order, the models agree with the rules to the nano.

`HISTORIES` and `STEPS` in the environment make it longer; `make soak` runs thousands. `SHRINK=0`: the first
difference is enough, whatever led to it.
"""

import os
from collections.abc import Iterator

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.calls import Calls
from tests.histories.plans import Plans
from tests.histories.purchases import Purchases, Recharges

HISTORIES = int(os.environ.get("HISTORIES", "6"))
STEPS = int(os.environ.get("STEPS", "40"))
SHRINKS = [Phase.shrink] if os.environ.get("SHRINK", "1") == "1" else []


class Life(Calls, Plans, Purchases, Recharges):
    """Everything that can happen to one account."""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """A key, so that the model is for sale; nobody is asked."""
    return environment | {"OPENAI_API_KEY": "sk-nobody", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}


@pytest.fixture
def in_the_app(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_every_history_ends_as_the_rules_say(in_the_app: None) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(
        max_examples=HISTORIES,
        stateful_step_count=STEPS,
        suppress_health_check=checks,
        report_multiple_bugs=False,
        phases=[Phase.generate, *SHRINKS],
    )
    run_state_machine_as_test(Life, settings=how)
