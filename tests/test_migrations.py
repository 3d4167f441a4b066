"""Migrations run up, down and up again on both databases, and make what the models say."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect

from app.extensions import db
from tests.conftest import app_in, close, nowhere
from tests.support.environment import app_environment

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def bare_app(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app over a database without tables."""
    return app_in(monkeypatch, app_environment(DATABASE_URL=empty_database_url, REDIS_URL=nowhere()))


def migrated(app: Flask, *arguments: str) -> set[str]:
    """The tables after `flask db ...`."""
    done = app.test_cli_runner().invoke(args=["db", *arguments])
    assert done.exit_code == 0, done.output
    with app.app_context():
        return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_what_goes_up_comes_down_and_goes_up_again(bare_app: Flask) -> None:
    tables = migrated(bare_app, "upgrade")
    assert migrated(bare_app, "downgrade", "base") == set()
    assert migrated(bare_app, "upgrade") == tables == set(db.metadata.tables)
    close(bare_app)


def test_the_migrations_make_what_the_models_say(bare_app: Flask) -> None:
    migrated(bare_app, "upgrade")
    with bare_app.app_context(), db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []
    close(bare_app)
