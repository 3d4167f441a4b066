"""What every test may ask for: databases, Redis, the app in this process or as processes, mails, a browser."""

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from app.extensions import db
from devserver.ports import free_port
from devserver.redis_server import RedisServer
from tests.support import Database, browser, databases, forks
from tests.support.api_description import Described
from tests.support.environment import app_environment
from tests.support.mailbox import Mailbox
from tests.support.memory import roomy
from tests.support.network import forbid_other_machines
from tests.support.replies import try_again_soon
from tests.support.running_app import PROCESSES, RunningApp
from tests.support.test_apps import made_apps

IS_LONG = os.environ.get("LONG") == "1"
"""Whether what is marked `long` runs too: what repeats on the other database, or in `make soak`, what is here once."""

IMPORTED_WITH_APP = frozenset(sys.modules)
"""What this process has imported before any test."""

HERE = Path(__file__).parent

hypothesis.settings.register_profile("tollgate", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tollgate")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("databases")
    if marker and "database_kind" in metafunc.fixturenames:
        kinds = marker.args if IS_LONG else marker.kwargs.get("short", marker.args)
        if kinds == "in turns":
            kinds = marker.args[crc32(metafunc.function.__name__.encode()) % len(marker.args) :][:1]
        metafunc.parametrize("database_kind", kinds, indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long comes first, so that none of it is left over for one core at the end.

    Processes, then payments, then what is about the whole app and lies in no folder: migrations, walks over all code.
    Tests of a browser that is not there are reported by name; where CI says so they fail.
    """
    left_out = [item for item in items if item.get_closest_marker("long") and not IS_LONG]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.parent != HERE)
    for fixtures in ({"scenario"}, PROCESSES):
        long = {item.path for item in items if fixtures & set(getattr(item, "fixturenames", ()))}
        items.sort(key=lambda item: item.path not in long)
    if browser.find_chromium() or os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=browser.MISSING))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    return ByModule(config, log) if config.getoption("dist") == "loadscope" else None


class ByModule(LoadScopeScheduling):
    """Each module goes to one process; those of tests/faults go together, for they share a stage."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "tests/faults/"
        return folder if nodeid.startswith(folder) else str(super()._split_scope(nodeid))


def pytest_configure(config: pytest.Config) -> None:
    """One process forks for all test processes."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        forks.offer()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """While tests are imported nothing is garbage; to the end it is looked for seldom, in what comes later alone."""
    gc.disable()
    yield
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def only_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        forbid_other_machines(patch)
        try_again_soon()
        yield


@pytest.fixture(scope="session")
def all_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[databases.Databases]:
    """Both kinds, migrated and seeded once: PostgreSQL in this test process, SQLite in one of this run."""
    own = tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="tollgate-databases-", dir=roomy()) as folder:
        shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
        every = databases.Databases(Path(folder), migrate_and_seed, shared)
        yield every
        every.close()


def migrate_and_seed(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        app = app_in(patch, app_environment(DATABASE_URL=url, REDIS_URL=nowhere()))
        for command in (["db", "upgrade"], ["seed"]):
            done = app.test_cli_runner().invoke(args=command)
            assert done.exit_code == 0, (command, done.output, done.exception)
        close(app)


def nowhere() -> str:
    """The address of a Redis that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"


def app_in(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> Flask:
    """The app as it comes up in `environment` and in none of the developer's own variables."""
    return made_apps.make(patch, environment)


def close(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each kind that the mark `databases` names; without it "sqlite", or what TEST_DATABASE says."""
    return str(getattr(request, "param", os.environ.get("TEST_DATABASE", "sqlite")))


@pytest.fixture
def database_url(all_databases: databases.Databases, database_kind: str) -> Iterator[str]:
    """A migrated and seeded database of this test's own."""
    url = all_databases.fresh(database_kind)
    yield url
    all_databases.drop(url)


@pytest.fixture
def empty_database_url(all_databases: databases.Databases, database_kind: str) -> Iterator[str]:
    """A database without tables."""
    url = all_databases.empty(database_kind)
    yield url
    all_databases.drop(url)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    with redis_server.connection() as connection:
        connection.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def mail_server() -> Iterator[Mailbox]:
    server = Mailbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mailbox(mail_server: Mailbox) -> Mailbox:
    """What the app mails in this test."""
    mail_server.mails.clear()
    return mail_server


@pytest.fixture
def environment(database_url: str, redis_url: str, mailbox: Mailbox) -> dict[str, str]:
    """The app's variables in this test; a test module may extend it by overriding this fixture."""
    return app_environment(DATABASE_URL=database_url, REDIS_URL=redis_url, MAIL_URL=mailbox.url)


@pytest.fixture
def app(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app in this process; no context is pushed. What its API answers in the test must be as it is described."""
    app, answers = made_apps.lend(monkeypatch, environment), Described()
    app.after_request_funcs[None].append(answers)
    yield app
    close(app)
    assert answers.problems == []


@pytest.fixture
def require_verified_email(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`require_verified_email()`: what waits for a verified email waits from now on; `(False)`: no longer."""

    def require(is_required: bool = True) -> None:
        monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", str(int(is_required)))

    return require


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Database]:
    """The test's own database session, in an app context that requests do not see."""
    with app.app_context():
        yield db.session


@pytest.fixture
def start_app(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., RunningApp]]:
    """`start_app("web", "worker", NAME=value)`: these processes over this test's database, ended with the test."""
    running: list[RunningApp] = []

    def start(*names: str, **changes: str) -> RunningApp:
        one = RunningApp(environment | changes, folder=tmp_path, names=names)
        running.append(one)
        return one.__enter__()

    yield start
    for one in running:
        one.__exit__()


@pytest.fixture(scope="module")
def shared_environment() -> dict[str, str]:
    """Variables that a module adds to those of its `shared_app`, by overriding this fixture."""
    return {}


@pytest.fixture(scope="module")
def shared_host() -> str:
    """Where a module's `shared_app` listens; a module may override this fixture."""
    return "127.0.0.1"


@pytest.fixture(scope="module")
def shared_app(
    shared_environment: dict[str, str],
    shared_host: str,
    all_databases: databases.Databases,
    database_kind: str,
    mail_server: Mailbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApp]:
    """Web and worker for all tests of a module, over a database and a Redis of the module's own."""
    own = {"DATABASE_URL": all_databases.fresh(database_kind), "MAIL_URL": mail_server.url} | shared_environment
    with web_and_worker(own, shared_host, tmp_path_factory.mktemp("running")) as running:
        yield running
    all_databases.drop(own["DATABASE_URL"])


@contextmanager
def web_and_worker(own: dict[str, str], host: str, folder: Path) -> Iterator[RunningApp]:
    """With a Redis of their own."""
    redis = RedisServer()
    redis.start()
    with RunningApp(app_environment(REDIS_URL=redis.url, **own), folder=folder, host=host) as running:
        yield running
    redis.stop()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    return browser_type_launch_args | browser.launch_options()
