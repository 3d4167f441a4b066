"""`flask backup` and `flask restore`: whole while the database is written to, and quiet in another place."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import make_url, select

from app import mailer, webhook_sender
from app.extensions import db
from app.models.billing.audit import audit
from app.models.identity.account import Account
from app.models.operations.outbox import OutgoingMail
from app.models.operations.outgoing_webhook import WebhookDelivery, WebhookEndpoint
from app.stripe_api import client
from tests.conftest import app_in, close, nowhere
from tests.support import Database, people
from tests.support.environment import app_environment
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def elsewhere(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """Another installation, with a Stripe key, whose database is empty."""
    values = {"DATABASE_URL": empty_database_url, "REDIS_URL": nowhere(), "STRIPE_SECRET_KEY": "sk_test_1"}
    app = app_in(monkeypatch, app_environment(**values))
    yield app
    close(app)


def run(app: Flask, *arguments: str) -> Result:
    with app.app_context():
        return app.test_cli_runner().invoke(args=list(arguments))


def accounts() -> int:
    return len(db.session.scalars(select(Account.id)).all())


@pytest.fixture
def load(app: Flask) -> Iterator[None]:
    """New people come with credits as long as the test runs."""
    is_over = threading.Event()

    def come() -> None:
        number = 0
        with app.app_context():
            while not is_over.wait(0.02):
                people.person(f"person{number}", credits=CREDIT)
                db.session.commit()
                number += 1

    thread = threading.Thread(target=come)
    thread.start()
    yield
    is_over.set()
    thread.join()


def test_what_is_written_to_is_backed_up_whole_and_restored(
    app: Flask, session: Database, elsewhere: Flask, load: None, tmp_path: Path
) -> None:
    path = tmp_path / "tollgate.backup"
    before = accounts()
    done = run(app, "backup", str(path))
    assert done.exit_code == 0, done.output
    assert path.stat().st_mode & 0o777 == 0o600
    session.rollback()

    assert "already exists" in run(app, "backup", str(path)).output
    done = run(elsewhere, "restore", str(path))
    assert done.exit_code == 0, done.output
    with elsewhere.app_context():
        assert list(audit()) == []
        assert before <= accounts()
    refused = run(elsewhere, "restore", str(path))
    assert refused.exit_code == 1
    assert "--replace" in refused.output
    assert run(elsewhere, "restore", str(path), "--replace").exit_code == 0


@pytest.mark.databases("postgresql")
def test_the_one_of_several_servers_that_takes_writes_is_backed_up(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = make_url(nowhere()).port
    several = database_url.replace("@127.0.0.1", f"@127.0.0.1:{away},127.0.0.1")
    app = app_in(monkeypatch, app_environment(DATABASE_URL=f"{several}?target_session_attrs=read-write"))
    done = run(app, "backup", str(tmp_path / "tollgate.backup"))
    close(app)
    assert done.exit_code == 0, done.output


def test_what_was_restored_sends_and_charges_nothing_until_it_is_told_to(
    app: Flask, session: Database, elsewhere: Flask, tmp_path: Path
) -> None:
    mailer.post("a key", "ada@example.com", "password_changed", name="ada")
    WebhookEndpoint.make(None, "http://127.0.0.1:1/")
    WebhookDelivery.post(people.person("ada").id, "a key", "recharge.done")
    session.commit()
    path = tmp_path / "tollgate.backup"
    run(app, "backup", str(path))
    run(elsewhere, "restore", str(path))

    with elsewhere.app_context():
        assert (mailer.sweep(), webhook_sender.sweep(), client.is_set_up()) == (0, 0, False)
        mailer.deliver(OutgoingMail.due()[0])
        assert len(OutgoingMail.due()) == 1
    assert run(elsewhere, "resume").exit_code == 0
    with elsewhere.app_context():
        assert (mailer.sweep(), webhook_sender.sweep(), client.is_set_up()) == (1, 1, True)


def test_what_is_no_backup_changes_nothing(app: Flask, session: Database, tmp_path: Path) -> None:
    path = tmp_path / "tollgate.backup"
    assert "no file" in run(app, "restore", str(path), "--replace").output
    assert "Nothing was changed." in run(app, "backup", str(tmp_path / "no folder" / "file")).output
    people.person("ada")
    session.commit()
    run(app, "backup", str(path))
    whole, names = path.read_bytes(), session.scalars(select(Account.name)).all()
    for broken in (b"words", whole[: len(whole) // 2], b"PGDMP", b"SQLite format 3\x00"):
        path.write_bytes(broken)
        refused = run(app, "restore", str(path), "--replace")
        assert (refused.exit_code, "Error: " in refused.output) == (1, True)
        session.rollback()
        assert session.scalars(select(Account.name)).all() == names
