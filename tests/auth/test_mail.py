"""The outbox: a mail is a row of the transaction that it tells of, and is sent once."""

from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from rq.timeouts import JobTimeoutException

import app.mailer as outbox
from app.jobs import connect
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.operations.outbox import OutgoingMail
from app.notifications.recipients import owner
from tests.auth.conftest import Browser
from tests.conftest import nowhere
from tests.support import Database
from tests.support.mailbox import Mailbox, body_of
from tests.support.people import PASSWORD

ADA = "ada@example.com"


def post(key: str = "test:1", to: str = ADA, name: str = "Ada") -> bool:
    return outbox.post(key, to, "password_changed", name=name)


def waiting_jobs() -> int:
    return int(connect().llen("rq:queue:default"))


def test_a_posted_mail_is_sent_after_the_commit(session: Database, mailbox: Mailbox) -> None:
    post()
    assert waiting_jobs() == 0
    session.commit()
    assert waiting_jobs() == 1
    outbox.deliver(session.query(OutgoingMail).one().id)
    assert [str(mail["To"]) for mail in mailbox.mails] == [ADA]


def test_a_mail_of_a_transaction_that_failed_is_not_sent(session: Database) -> None:
    post()
    session.rollback()
    session.commit()
    assert (waiting_jobs(), session.query(OutgoingMail).count()) == (0, 0)


def test_a_savepoint_is_not_a_commit(session: Database) -> None:
    with session.begin_nested():
        post()
    assert waiting_jobs() == 0
    session.commit()
    assert waiting_jobs() == 1


def test_a_key_is_posted_once(session: Database) -> None:
    assert (post(), post(), session.query(OutgoingMail).count()) == (True, False, 1)


def test_an_account_without_a_name_is_called_something(guest: Browser, session: Database, mailbox: Mailbox) -> None:
    guest.send("/signup", email=ADA, password=PASSWORD)
    account = session.query(Account).filter_by(name="").one()
    owner(account, "debit:1", "debit_begun", amount="$5.00", what="Plus")
    session.commit()
    outbox.deliver(session.query(OutgoingMail).filter_by(template="debit_begun").one().id)
    assert "for Plus (account: Personal)." in body_of(mailbox.mails[-1])


def test_a_job_that_runs_twice_sends_one_mail(session: Database, mailbox: Mailbox) -> None:
    post()
    session.commit()
    mail_id = session.query(OutgoingMail).one().id
    outbox.deliver(mail_id)
    outbox.deliver(mail_id)
    assert len(mailbox.mails) == 1


def test_a_mail_that_one_worker_has_is_nobody_elses(session: Database) -> None:
    post()
    session.commit()
    mail_id = session.query(OutgoingMail).one().id
    assert OutgoingMail.claim(mail_id)
    session.commit()
    assert OutgoingMail.claim(mail_id) is None


def test_a_mail_that_cannot_be_written_is_tried_again_and_keeps_no_other_waiting(
    session: Database, mailbox: Mailbox
) -> None:
    outbox.post("test:0", ADA, "verify", user_id=0)
    post()
    session.commit()
    assert (outbox.sweep(), [str(mail["To"]) for mail in mailbox.mails]) == (2, [ADA])
    attempts = session.query(OutgoingMail.attempts).order_by(OutgoingMail.id).all()
    assert (attempts, outbox.sweep()) == ([(1,), (1,)], 0)


@pytest.mark.parametrize("end", [JobTimeoutException, SystemExit])
def test_a_sweep_ends_when_its_time_is_over_or_its_process_stops(
    session: Database, monkeypatch: pytest.MonkeyPatch, end: type[Exception]
) -> None:
    post()
    session.commit()
    monkeypatch.setattr(outbox, "completed", Mock(side_effect=end))
    with pytest.raises(end):
        outbox.sweep()


def test_a_mail_that_was_sent_can_be_sent_again_with_the_same_words(session: Database, mailbox: Mailbox) -> None:
    post(name="Ada")
    session.commit()
    outbox.sweep()
    session.query(OutgoingMail).one().again()
    session.commit()
    outbox.sweep()
    first, second = mailbox.to(ADA)
    assert (body_of(first), first["Subject"]) == (body_of(second), second["Subject"])


def test_a_mail_has_words_and_the_same_words_in_html(session: Database, mailbox: Mailbox) -> None:
    post(name="<script>alert(1)</script>")
    session.commit()
    outbox.sweep()
    mail = mailbox.mails[0]
    assert mail["Subject"] == "Your password at Tollgate was changed"
    assert "Hello <script>alert(1)</script>," in body_of(mail)
    html = mail.get_body(("html",)).get_content()
    assert ("<script>" in html, "&lt;script&gt;" in html) == (False, True)
    assert '<a href="http://127.0.0.1/password/forgot"' in html


class TestWhereTheMailServerIsAway:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"MAIL_URL": nowhere().replace("redis", "smtp").removesuffix("/0")}

    def test_a_mail_waits_longer_each_time_and_is_given_up_at_last(self, session: Database) -> None:
        post()
        session.commit()
        tries, now = [], utcnow()
        for minute in (*range(17), 30, 31, 62, 63, 126, 127, 254, 255, 400):
            with time_machine.travel(now + timedelta(minutes=minute), tick=False):
                if outbox.sweep():
                    tries.append(minute)
        assert tries == [0, 1, 3, 7, 15, 31, 63, 127]
        assert session.query(OutgoingMail).one().attempts == OutgoingMail.RETRIES.most

    def test_it_is_sent_when_the_server_is_back(
        self, session: Database, mailbox: Mailbox, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        post()
        session.commit()
        outbox.sweep()
        monkeypatch.setattr(app.extensions["mailman"], "port", int(mailbox.url.rsplit(":", 1)[1]))
        with time_machine.travel(utcnow() + timedelta(minutes=2)):
            outbox.sweep()
        assert len(mailbox.mails) == 1


class TestWhereRedisIsAway:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"REDIS_URL": nowhere()}

    def test_the_request_works_and_the_clock_finds_the_mail(
        self, session: Database, mailbox: Mailbox, guest: Browser
    ) -> None:
        assert guest.sign_up("ada").status_code == 302
        outbox.sweep()
        assert len(mailbox.to(ADA)) == 1


@pytest.fixture
def development(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    app.config.update(APP_ENV="development", MAIL_FILE_PATH=str(tmp_path))
    monkeypatch.setattr(app.extensions["mailman"], "backend", "file")
    monkeypatch.setattr(app.extensions["mailman"], "file_path", str(tmp_path))
    return app


def test_development_shows_its_mails(development: Flask, session: Database) -> None:
    post()
    session.commit()
    outbox.sweep()
    page = development.test_client().get("/dev/mail")
    assert (page.status_code, "Your password at Tollgate was changed" in page.text) == (200, True)
    html = development.test_client().get("/dev/mail/0")
    assert ("<html" in html.text, "default-src 'none'" in html.headers["Content-Security-Policy"]) == (
        True,
        True,
    )
    assert development.test_client().get("/dev/mail/1").status_code == 404


def test_nowhere_else_are_mails_shown(client: FlaskClient) -> None:
    assert client.get("/dev/mail").status_code == 404
