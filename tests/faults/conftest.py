"""One stage for all tests of a module: each breaks it in its own way, and leaves it whole."""

from collections.abc import Iterator

import pytest

from tests.faults.environment import Stage


@pytest.fixture(scope="module")
def stage(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(database_kind, tmp_path_factory.mktemp("stage"), WEB_THREADS="40") as everything:
        yield everything


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> None:
    """The provider is told nothing yet, Stripe has no faults, and no pulse was missed."""
    stage.provider.reset()
    stage.provider.configure(tokens=20, delay=0.01)
    stage.sandbox.control("faults", clear=True)
    stage.pulse.forget()
