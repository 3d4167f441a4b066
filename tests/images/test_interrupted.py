"""Images that are stopped, or whose process dies: what is delivered is paid, what is lost is free."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from flask import Flask

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Message
from app.models.identity.erasure import delete_person
from app.models.identity.user import User
from app.models.metering.usage import Usage
from app.payments.sweeper import sweep
from tests.chat.conftest import Door
from tests.images.conftest import GOOGLE, OPENAI, price_of
from tests.support import Database, people
from tests.support.image_server import ImageServer
from tests.support.people import CREDIT, Heard, heard
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))


def calls(session: Database) -> list[Usage]:
    session.rollback()
    return session.query(Usage).order_by(Usage.id).all()


def stopped(ada: Door, painter: ImageServer, **body: object) -> Heard:
    """Images that are asked for in a chat and stopped while the vendor draws."""
    painter.may_answer.clear()
    asked = {"prompt": "A red fox", "new_chat": True, **body}
    answer = ada.call("POST", "/images", json=asked, buffered=False)
    pieces = answer.iter_encoded()
    start = heard(next(pieces)).start
    await_that(lambda: painter.requests != [])
    assert ada.call("POST", f"/messages/{start['message_id']}/stop").status_code < 300
    painter.may_answer.set()
    told = heard(b"".join(pieces))
    answer.close()
    return told


STOPPED = [
    (OPENAI, ["ok"], 2, 2),
    (GOOGLE, ["ok", "none"], 2, 1),
    (OPENAI, ["filtered"], 2, 0),
]
"""Model, what the vendor answers, how many are asked for and how many delivered."""


def test_images_that_are_stopped_are_paid_as_delivered(ada: Door, session: Database, painter: ImageServer) -> None:
    paid = files = 0
    for model, answers, count, delivered in STOPPED:
        painter.requests.clear()
        painter.answers.extend(answers)
        end = stopped(ada, painter, model=model, n=count).end
        call, files = calls(session)[-1], files + delivered
        paid += call.paid_nanos
        message = session.query(Message).filter_by(role="assistant").order_by(Message.id.desc()).first()

        assert end["cost_nanos"] == call.paid_nanos == delivered * call.image_price.price_nanos
        assert (len(end.get("images", ())), call.images) == (delivered, delivered)
        assert session.query(Attachment).count() == files
        assert (end["code"], message.status) == (("stopped", "stopped") if delivered else ("provider_error", "failed"))
        assert call.state == ("settled" if delivered else "released")
        assert end["available_nanos"] == 1000 * CREDIT - paid
        assert ada.balance()["reserved_nanos"] == 0
    assert list(audit()) == []
    assert audit_calls().all() == []


def test_images_of_a_person_who_has_gone_meanwhile_are_kept_nowhere(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    painter.may_answer.clear()
    answer = ada.call("POST", "/images", json={"prompt": "A red fox", "model": OPENAI}, buffered=False)
    pieces = answer.iter_encoded()
    next(pieces)
    reading = threading.Thread(target=b"".join, args=(pieces,))
    reading.start()
    await_that(lambda: painter.requests != [])
    delete_person(User.with_email("ada@example.com"))
    session.commit()
    painter.may_answer.set()
    reading.join()
    answer.close()
    assert calls(session)[0].state == "settled"
    assert session.query(Attachment).count() == 0


@pytest.fixture
def served(start_app: Callable[..., RunningApp], painter: ImageServer) -> RunningApp:
    """Where a web process of its own is started, to be killed."""
    return start_app(OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=painter.openai_url)


def ask(web: RunningApp, key: str) -> None:
    body, headers = {"prompt": "A fox", "model": OPENAI, "new_chat": True}, {"Authorization": f"Bearer {key}"}
    with pytest.raises(requests.RequestException):
        requests.post(f"{web.url}/api/images", json=body, headers=headers, timeout=60)


def die(web: RunningApp, key: str, *, crash: str) -> None:
    """Have images asked for, and the process killed at that step."""
    web.start("web", crash=crash)
    web.await_ready()
    ask(web, key)
    web.await_death("web")


DRAWN = "before app.generation.images:ImageGeneration._file"
SETTLED = "after app.generation.images:ImageGeneration._settle_once"


def test_a_kill_before_images_are_settled_charges_nothing_and_after_it_all(
    app: Flask, session: Database, served: RunningApp
) -> None:
    price = price_of(OPENAI, "medium", "1024x1024").price_nanos
    account = people.person("ada", credits=1000 * CREDIT)
    key = people.api_key(account)
    session.commit()
    for crash in (SETTLED, DRAWN):
        die(served, key, crash=crash)
    for call in calls(session):
        call.created_at -= timedelta(minutes=3)
    for message in session.query(Message).filter_by(role="assistant", status="running"):
        message.checkpoint_at -= timedelta(minutes=3)
    session.commit()

    assert sweep() == 1
    settled, drawn = calls(session)
    assert (drawn.state, drawn.paid_nanos) == ("released", 0)
    assert (settled.state, settled.paid_nanos, settled.images) == ("settled", price, 1)
    answers = session.query(Message).filter_by(role="assistant").order_by(Message.id)
    assert [message.status for message in answers] == ["done", "interrupted"]
    assert [file.call_id for file in session.query(Attachment)] == [settled.id]
    session.refresh(account)
    assert (account.credits_nanos, account.reserved_nanos) == (1000 * CREDIT - price, 0)
    assert list(audit()) == []
    assert audit_calls().all() == []
