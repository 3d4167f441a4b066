"""Migrations run up, down and up again on both databases, and make what the models say."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import TextClause, event, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from app.cli import say_why
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.plan import CreditPack
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.held_call import made_price
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import DailyTotal, Watermark
from tests.conftest import app_in, close, nowhere
from tests.support.environment import app_environment

A_DAY = {"model": "gpt-test", "operation": "chat", "plan_id": 1} | dict.fromkeys(
    ("calls", "input_tokens", "output_tokens", "cost_nanos", "paid_nanos", "absorbed_nanos"), 1
)

OWNERS = (
    "INSERT INTO packs (id, name, description, status, position, price_cents, currency, margin_bps, former_price_ids,"
    " published_digest, created_at) VALUES (1, 'Small', '', 'active', 0, 1000, 'usd', 5000, '[]', '', '2026-11-29')",
    "INSERT INTO users (id, email, name, password_hash, created_at) VALUES (1, 'a@b.c', '', '', '2026-11-29')",
)

pytestmark = pytest.mark.databases("sqlite", "postgresql")
IN_TURNS = pytest.mark.databases("sqlite", "postgresql", short="in turns")
"""For a step whose statements are the same on both."""


@pytest.fixture
def bare_app(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app over a database without tables."""
    return app_in(monkeypatch, app_environment(DATABASE_URL=empty_database_url, REDIS_URL=nowhere()))


@pytest.fixture
def whole_app(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app over a database that was migrated and seeded."""
    return app_in(monkeypatch, app_environment(DATABASE_URL=database_url, REDIS_URL=nowhere()))


def migrated(app: Flask, *arguments: str) -> set[str]:
    """The tables after `flask db ...`."""
    done = app.test_cli_runner().invoke(args=["db", *arguments])
    assert done.exit_code == 0, done.output
    with app.app_context():
        return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


@IN_TURNS
def test_a_command_without_tables_says_what_to_run(bare_app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    with bare_app.app_context(), pytest.raises(DBAPIError) as met:
        db.session.query(CreditPack).first()
    say_why(met.type, met.value, None)
    said = capsys.readouterr().err
    assert (said.count("\n"), "packs" in said, said.endswith(". Run: flask --app wsgi db upgrade\n")) == (1, True, True)


def test_what_goes_up_comes_down_and_goes_up_again_to_what_the_models_say(bare_app: Flask) -> None:
    """With rows that move on the way: the watermark of 0002, volumes and recovery codes of 0041."""
    migrated(bare_app, "upgrade", "0001")
    put_whole_days(bare_app)
    migrated(bare_app, "upgrade", "0040")
    put_tiers_and_codes(bare_app)
    migrated(bare_app, "upgrade")
    rows_have_moved(bare_app)
    assert "watermarks" in migrated(bare_app, "downgrade", "0040")
    rows_are_back(bare_app)
    assert "watermarks" not in migrated(bare_app, "downgrade", "0001")
    with bare_app.app_context():
        assert db.session.scalars(select(DailyTotal.day)).all() == []
    assert migrated(bare_app, "downgrade", "base") == set()
    assert migrated(bare_app, "upgrade") == set(db.metadata.tables)
    with bare_app.app_context(), db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []
    close(bare_app)


def put_whole_days(app: Flask) -> None:
    with app.app_context():
        db.session.execute(insert(DailyTotal).values(**A_DAY | {"day": date(2026, 11, 19)}))
        db.session.execute(insert(DailyTotal).values(**A_DAY | {"day": date(2026, 11, 20)}))
        db.session.commit()


def put_tiers_and_codes(app: Flask) -> None:
    rows = (
        "INSERT INTO pack_tiers (pack_id, from_quantity, margin_bps, created_at)"
        " VALUES (1, 50, 4000, '2026-11-29'), (1, 10, 4500, '2026-11-29')",
        "INSERT INTO recovery_codes (user_id, code_hash, used_at, created_at)"
        " VALUES (1, 'a', NULL, '2026-11-29'), (1, 'b', '2026-11-29', '2026-11-29')",
    )
    with app.app_context():
        for row in (*OWNERS, *rows):
            db.session.execute(text(row))
        db.session.commit()


def rows_have_moved(app: Flask) -> None:
    """The totals go on where those of whole days end; a used code is gone."""
    with app.app_context():
        assert Watermark.now() == datetime(2026, 11, 21, tzinfo=UTC)
        assert db.session.scalars(select(CreditPack.volume)).all() == [[[10, 4500], [50, 4000]]]
        assert db.session.scalars(select(User.recovery_hashes)).all() == [["a"]]


def rows_are_back(app: Flask) -> None:
    with app.app_context():
        moments = db.session.scalars(text("SELECT moment FROM watermarks")).all()
        assert [str(moment)[:10] for moment in moments] == ["2026-11-21"]
        tiers = db.session.execute(text("SELECT from_quantity, margin_bps FROM pack_tiers ORDER BY 1")).all()
        codes = db.session.execute(text("SELECT user_id, code_hash FROM recovery_codes")).all()
        assert ([*map(tuple, tiers)], [*map(tuple, codes)]) == ([(10, 4500), (50, 4000)], [(1, "a")])


@IN_TURNS
def test_what_members_used_and_were_granted_is_added_up_on_the_way_down(whole_app: Flask) -> None:
    """0042 drops the counter: what runs counts as reserved, what has ended as paid. 0045: an ended grant is over."""
    with whole_app.app_context():
        db.session.add(price := made_price())
        owner = User.join("ada@example.com", "Ada", "a long password")
        team = Account.open(owner, kind="team", name="Ferries")
        Membership.of(owner.id, team.id).extras = [(5, "2026-01-31"), (7, "2099-02-28"), (9, "2099-01-31")]
        call = {
            "account_id": team.id,
            "user_id": owner.id,
            "model": "m",
            "price": price,
            "max_output_tokens": 1,
            "day": utcnow().date(),
            "reserved_nanos": 7,
            "allowance_paid_nanos": 5,
        }
        db.session.add_all((Usage(**call, state="running"), Usage(**call, state="settled")))
        db.session.commit()
    migrated(whole_app, "downgrade", "0041")
    with whole_app.app_context():
        counted = db.session.scalars(text("SELECT used_nanos FROM memberships ORDER BY id")).all()
        granted = db.session.execute(text("SELECT extra_nanos, extra_until FROM memberships ORDER BY id")).all()
    assert counted == [0, 12]  # before hers, that of the seed's admin
    assert [(nanos, until and str(until)) for nanos, until in granted] == [(0, None), (16, "2099-01-31")]
    migrated(whole_app, "upgrade")
    with whole_app.app_context():
        regained: list[Any] = [*db.session.scalars(select(Membership.extras).order_by(Membership.id))]
    assert regained == [[], [[16, "2099-01-31"]]]
    close(whole_app)


@IN_TURNS
def test_a_person_at_a_provider_is_known_with_its_name(whole_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the way down no name of a provider stays, which would be put before once more on the way up."""
    subjects = text("SELECT oidc_subject FROM users WHERE id > 100 ORDER BY id")
    put = text("UPDATE users SET oidc_subject = :subject WHERE id = :id")
    new = text("INSERT INTO users (id, email, name, password_hash, created_at) VALUES (:id, :id, '', '', '2026-11-29')")
    done(whole_app, new, [{"id": 101}, {"id": 102}])
    for issuer, up, down in (("https://sso.example", "https://sso.example ada", "ada"), ("", None, None)):
        monkeypatch.setenv("OIDC_ISSUER", issuer)
        migrated(whole_app, "downgrade", "0042")
        done(whole_app, put, [{"id": 101, "subject": "ada"}, {"id": 102, "subject": None}])
        migrated(whole_app, "upgrade", "0043")
        with whole_app.app_context():
            assert db.session.scalars(subjects).all() == [up, None]
        done(whole_app, put, [{"id": 102, "subject": "https://before.example bo"}])
        migrated(whole_app, "downgrade", "0042")
        with whole_app.app_context():
            assert db.session.scalars(subjects).all() == [down, None]
    close(whole_app)


def done(app: Flask, statement: TextClause, rows: list[dict[str, object]]) -> None:
    with app.app_context():
        db.session.execute(statement, rows)
        db.session.commit()


@pytest.mark.databases("sqlite")
def test_a_downgrade_that_is_cut_off_has_changed_nothing(whole_app: Flask) -> None:
    before = schema_of(whole_app)
    left = iter(range(30))

    def cut(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().startswith(("DROP", "ALTER", "CREATE", "INSERT")) and next(left, None) is None:
            raise KeyboardInterrupt

    with whole_app.app_context():
        event.listen(db.engine, "before_cursor_execute", cut)
    done = whole_app.test_cli_runner().invoke(args=["db", "downgrade", "base"])
    with whole_app.app_context():
        event.remove(db.engine, "before_cursor_execute", cut)

    assert done.exit_code
    assert schema_of(whole_app) == before
    migrated(whole_app, "downgrade", "0045")
    close(whole_app)


@pytest.mark.databases("postgresql")
def test_a_table_in_use_is_not_waited_for_with_everybody_behind(whole_app: Flask) -> None:
    """A backup reads all tables, for hours; a change that waits for it keeps out whoever wants to read them too."""
    told = list[str]()

    def hurry(_connection: object, _cursor: object, statement: str, values: Any, *_rest: object) -> tuple[str, Any]:
        told.extend([statement] if "lock_timeout = " in statement else [])
        return statement.replace("'5s'", "'50ms'"), values

    with whole_app.app_context(), db.engine.connect() as backup:
        event.listen(db.engine, "before_cursor_execute", hurry, retval=True)
        backup.execute(text("LOCK TABLE payments IN ACCESS SHARE MODE"))
        assert whole_app.test_cli_runner().invoke(args=["db", "downgrade", "0045"]).exit_code == 1
        assert backup.scalar(text("SELECT count(monthly_nanos) FROM payments")) == 0
        event.remove(db.engine, "before_cursor_execute", hurry)
    assert told == ["SET lock_timeout = '5s'"]
    migrated(whole_app, "downgrade", "0045")
    close(whole_app)


def schema_of(app: Flask) -> list[tuple[str, str]]:
    with app.app_context(), db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name")
        return [(name, sql) for name, sql in rows]
