"""One stage for all tests on a database: each breaks it in its own way, and leaves it whole."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.faults.environment import Stage
from tests.support.databases import Databases


@pytest.fixture(scope="package")
def stages(all_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stage]]:
    """`stages("sqlite")`: the one that is there, where it is on that database; else another in its place."""
    current: list[Stage] = []

    def stage_on(kind: str) -> Stage:
        if not current or current[0].kind != kind:
            take_down()
            folder = tmp_path_factory.mktemp("stage")
            if kind == "sqlite":  # migrated already
                shutil.copy(all_databases.fresh(kind).removeprefix("sqlite:///"), folder / "tollgate.db")
            current.append(Stage(kind, folder, WEB_THREADS="40").__enter__())
        return current[0]

    def take_down() -> None:
        while current:
            current.pop().__exit__()

    yield stage_on
    take_down()


@pytest.fixture(scope="module")
def stage(database_kind: str, stages: Callable[[str], Stage]) -> Stage:
    return stages(database_kind)


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> None:
    """The provider is told nothing yet, Stripe has no faults, and no pulse was missed."""
    stage.provider.reset()
    stage.provider.configure(tokens=20, delay=0.01)
    stage.sandbox.control("faults", clear=True)
    stage.pulse.forget()
