"""Apps that one test after another borrows: making one takes longer than most tests do."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import URL, Dialect, Engine, event, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from app import config, create_app
from app.db.engine import connect_directly
from app.extensions import db, limiter
from app.observability import logging
from tests.support import kept_results
from tests.support.client import SeparateClient
from tests.support.environment import set_environment

READ_LATE = ("DATABASE_URL", "STRIPE_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "DEEPSEEK_")
"""What an app reads from its configuration when it needs it, so that it may change from test to test."""


@dataclass(frozen=True)
class Made:
    """An app, and what of it a test may leave otherwise than it was."""

    app: Flask
    environment: dict[str, str]
    config: dict[str, Any]
    extensions: dict[str, Any]
    after_request: list[Callable[..., Any]]


class MadeApps:
    """Keeps the newest app: Flask-Limiter and Flask-Mailman serve the one that they were bound to last."""

    def __init__(self) -> None:
        self._newest: Made | None = None

    def make(self, patch: pytest.MonkeyPatch, environment: dict[str, str]) -> Flask:
        """A new app, as it comes up in `environment`."""
        set_environment(patch, environment)
        app = create_app()
        limiter._storage_dead = False  # or the next test counts in memory until it has looked again
        app.test_client_class = SeparateClient
        hooks = app.after_request_funcs.setdefault(None, [])
        self._newest = Made(app, what_matters(environment), dict(app.config), dict(app.extensions), list(hooks))
        return app

    def lend(self, patch: pytest.MonkeyPatch, environment: dict[str, str]) -> Flask:
        """The app as it comes up in `environment`; the newest again where that makes no difference."""
        if self._newest is None or self._newest.environment != what_matters(environment):
            return self.make(patch, environment)
        set_environment(patch, environment)
        return as_new(self._newest)

    def forget(self) -> None:
        """The newest is not as others would have it: the next test gets one of its own."""
        self._newest = None


def what_matters(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_LATE)}


made_apps = MadeApps()
kept_results.keep()


def as_new(made: Made) -> Flask:
    """The app as it was when it was made, but for what the environment says now."""
    app = made.app
    put_back(app.config, made.config | config.from_environment())
    put_back(app.extensions, made.extensions)
    app.after_request_funcs[None][:] = made.after_request
    limiter.init_app(app)
    limiter._storage_dead = False
    connect(app)
    logging.write_logs(app, sys.stderr)
    return app


def put_back(kept: dict[str, Any], values: dict[str, Any]) -> None:
    """Let `kept` hold these values and no others. It is empty at no moment: threads of the test before read it yet."""
    kept.update(values)
    for name in kept.keys() - values.keys():
        del kept[name]


def connect(app: Flask) -> None:
    """Put the tests' engine in the place of the one before, over the configured database.

    It is one engine for each kind of database, since an engine keeps the statements that it has compiled.
    """
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    kind = url.get_backend_name()
    if kind not in ENGINES:
        ENGINES[kind] = engine_of(app)
    ADDRESSES[kind] = url, app.config["SQLALCHEMY_ENGINE_OPTIONS"].get("connect_args", {})
    ENGINES[kind].dispose()
    with app.app_context():
        cast(dict[str | None, Engine], db.engines)[None] = ENGINES[kind]


def engine_of(app: Flask) -> Engine:
    """A new engine, as the app's configuration has it."""
    holder = Flask("holder")
    holder.config.from_mapping(app.config)
    db.init_app(holder)
    with holder.app_context():
        return db.engine


def to_the_test_database(dialect: Dialect, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    """Have the tests' engines connect to where the test's database is, and how, whatever they were made for."""
    if dialect not in [engine.dialect for engine in ENGINES.values()]:
        return
    url, settings = ADDRESSES[dialect.name]
    result, named = dialect.create_connect_args(url)
    arguments[:] = result
    options.clear()
    options.update({**named, **settings})


# In this order: who connects first asks where to.
event.remove(PGDialect_psycopg, "do_connect", connect_directly)
event.listen(Engine, "do_connect", to_the_test_database)
event.listen(PGDialect_psycopg, "do_connect", connect_directly)

ENGINES: dict[str, Engine] = {}
ADDRESSES: dict[str, tuple[URL, dict[str, Any]]] = {}
