"""Apps that one test after another borrows: making one takes longer than most tests do."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app import config, logs
from app.extensions import db, limiter
from tests.support.environment import set_environment

READ_LATE = ("DATABASE_URL", "STRIPE_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "DEEPSEEK_")
"""What an app reads from its configuration when it needs it, so that it may change from test to test."""


@dataclass(frozen=True)
class Made:
    """An app, and what of it a test may leave otherwise than it was."""

    app: Flask
    config: dict[str, Any]
    extensions: dict[str, Any]
    after_request: list[Callable[..., Any]]


class MadeApps:
    """One app for each environment of those that make a difference to it."""

    def __init__(self, make: Callable[[pytest.MonkeyPatch, dict[str, str]], Flask]) -> None:
        self._make = make
        self._made: dict[tuple[tuple[str, str], ...], Made] = {}

    def lend(self, patch: pytest.MonkeyPatch, environment: dict[str, str]) -> Flask:
        """The app as it comes up in `environment`, over the database named there."""
        key = tuple(item for item in sorted(environment.items()) if not item[0].startswith(READ_LATE))
        if key not in self._made:
            app = self._make(patch, environment)
            hooks = app.after_request_funcs.setdefault(None, [])
            self._made[key] = Made(app, dict(app.config), dict(app.extensions), list(hooks))
            return app
        set_environment(patch, environment)
        return as_new(self._made[key])


def as_new(made: Made) -> Flask:
    """The app as it was when it was made, but for what the environment says now."""
    app = made.app
    app.config.clear()
    app.config.update(made.config | config.from_environment())
    app.extensions.clear()
    app.extensions.update(made.extensions)
    app.after_request_funcs[None][:] = made.after_request
    limiter.init_app(app)
    connect(app)
    logs.write_logs(app, sys.stderr)
    return app


def connect(app: Flask) -> None:
    """Put an engine for the configured database in the place of the one before."""
    holder = Flask("holder")
    holder.config.from_mapping(app.config)
    db.init_app(holder)
    with holder.app_context():
        engine = db.engine
    with app.app_context():
        db.engines[None] = engine
