"""Migrations run up, down and up again on both databases, and make what the models say."""

from datetime import UTC, date, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import event, insert, inspect, select, text

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
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


@IN_TURNS
def test_days_that_were_added_up_whole_are_not_added_again(bare_app: Flask) -> None:
    """0002 begins where the totals of whole days end."""
    migrated(bare_app, "upgrade", "0001")
    with bare_app.app_context():
        db.session.execute(insert(DailyTotal).values(**A_DAY | {"day": date(2026, 11, 19)}))
        db.session.execute(insert(DailyTotal).values(**A_DAY | {"day": date(2026, 11, 20)}))
        db.session.commit()
    migrated(bare_app, "upgrade")
    with bare_app.app_context():
        assert Watermark.now() == datetime(2026, 11, 21, tzinfo=UTC)
    assert "watermarks" in migrated(bare_app, "downgrade", "0040")
    with bare_app.app_context():
        moments = db.session.scalars(text("SELECT moment FROM watermarks")).all()
        assert [str(moment)[:10] for moment in moments] == ["2026-11-21"]
    assert "watermarks" not in migrated(bare_app, "downgrade", "0001")
    with bare_app.app_context():
        assert db.session.scalars(select(DailyTotal.day)).all() == []
    close(bare_app)


def test_volume_and_recovery_codes_move_into_their_owners_and_back(bare_app: Flask) -> None:
    """0041: a used code is gone; what it makes is what it came from."""
    migrated(bare_app, "upgrade", "0040")
    rows = (
        "INSERT INTO pack_tiers (pack_id, from_quantity, margin_bps, created_at)"
        " VALUES (1, 50, 4000, '2026-11-29'), (1, 10, 4500, '2026-11-29')",
        "INSERT INTO recovery_codes (user_id, code_hash, used_at, created_at)"
        " VALUES (1, 'a', NULL, '2026-11-29'), (1, 'b', '2026-11-29', '2026-11-29')",
    )
    with bare_app.app_context():
        for row in (*OWNERS, *rows):
            db.session.execute(text(row))
        db.session.commit()
    migrated(bare_app, "upgrade")
    with bare_app.app_context():
        assert db.session.scalars(select(CreditPack.volume)).all() == [[[10, 4500], [50, 4000]]]
        assert db.session.scalars(select(User.recovery_hashes)).all() == [["a"]]
    migrated(bare_app, "downgrade", "0040")
    with bare_app.app_context():
        tiers = db.session.execute(text("SELECT from_quantity, margin_bps FROM pack_tiers ORDER BY 1")).all()
        codes = db.session.execute(text("SELECT user_id, code_hash FROM recovery_codes")).all()
        assert ([*map(tuple, tiers)], [*map(tuple, codes)]) == ([(10, 4500), (50, 4000)], [(1, "a")])
    close(bare_app)


@IN_TURNS
def test_what_members_used_is_counted_again_on_the_way_down(bare_app: Flask) -> None:
    """0042 drops the counter: what runs counts as reserved, what has ended as paid."""
    migrated(bare_app, "upgrade")
    with bare_app.app_context():
        db.session.add_all((Plan(name="Free", is_default=True), price := made_price()))
        owner = User.join("ada@example.com", "Ada", "a long password")
        team = Account.open(owner, kind="team", name="Ferries")
        call = {
            "account_id": team.id,
            "user_id": owner.id,
            "model": "m",
            "price": price,
            "max_output_tokens": 1,
        }
        call |= {"day": utcnow().date(), "reserved_nanos": 7, "allowance_paid_nanos": 5}
        db.session.add_all((Usage(**call, state="running"), Usage(**call, state="settled")))
        db.session.commit()
    migrated(bare_app, "downgrade", "0041")
    with bare_app.app_context():
        assert db.session.scalars(text("SELECT used_nanos FROM memberships")).all() == [12]
    close(bare_app)


@IN_TURNS
@pytest.mark.parametrize(
    ("issuer", "up", "down"), [("https://sso.example", "https://sso.example ada", "ada"), ("", None, None)]
)
def test_a_person_at_a_provider_is_known_with_its_name(
    bare_app: Flask, monkeypatch: pytest.MonkeyPatch, issuer: str, up: str | None, down: str | None
) -> None:
    """On the way down no name of a provider stays, which would be put before once more on the way up."""
    monkeypatch.setenv("OIDC_ISSUER", issuer)
    subject = text("SELECT oidc_subject FROM users ORDER BY id")
    other = "INSERT INTO users (id, email, name, password_hash, created_at) VALUES (2, 'b@b.c', '', '', '2026-11-29')"
    migrated(bare_app, "upgrade", "0042")
    with bare_app.app_context():
        for row in (OWNERS[1], other, "UPDATE users SET oidc_subject = 'ada' WHERE id = 1"):
            db.session.execute(text(row))
        db.session.commit()
    migrated(bare_app, "upgrade", "0043")
    with bare_app.app_context():
        assert db.session.scalars(subject).all() == [up, None]
        db.session.execute(text("UPDATE users SET oidc_subject = 'https://before.example bo' WHERE id = 2"))
        db.session.commit()
    migrated(bare_app, "downgrade", "0042")
    with bare_app.app_context():
        assert db.session.scalars(subject).all() == [down, None]
    close(bare_app)


@pytest.mark.databases("sqlite")
def test_a_downgrade_that_is_cut_off_has_changed_nothing(bare_app: Flask) -> None:
    migrated(bare_app, "upgrade")
    before = schema_of(bare_app)
    left = iter(range(90))

    def cut(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().startswith(("DROP", "ALTER", "CREATE", "INSERT")) and next(left, None) is None:
            raise KeyboardInterrupt

    with bare_app.app_context():
        event.listen(db.engine, "before_cursor_execute", cut)
    done = bare_app.test_cli_runner().invoke(args=["db", "downgrade", "base"])
    with bare_app.app_context():
        event.remove(db.engine, "before_cursor_execute", cut)

    assert done.exit_code
    assert schema_of(bare_app) == before
    migrated(bare_app, "downgrade", "0002")
    close(bare_app)


def schema_of(app: Flask) -> list[tuple[str, str]]:
    with app.app_context(), db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name")
        return [(name, sql) for name, sql in rows]
