"""What must hold after any fault: the check that every test of this folder ends with."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.billing.auto_recharge import OPEN, Recharge
from app.models.chat.chat import Message
from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from app.payments import jobs, sweeper
from tests.faults.environment import Stage
from tests.support.running_app import await_that

SETTLED_WITHIN = 10


def assert_whole(stage: Stage, *, dead: int = 0) -> None:
    """Recover as the clock would, then nothing is wrong, in money, messages or events. `dead`: calls that died."""
    recover(stage, dead)
    with stage.looking():
        wrong = wrongs()
    assert wrong == {}, wrong
    assert stage.pulse.is_steady, f"/healthz took up to {stage.pulse.slowest:.2f} s"


def recover(stage: Stage, dead: int = 0) -> None:
    """What runs is let end; what then still seems to run is dead, and is swept as if three minutes had passed."""
    stage.sandbox.wait_until_idle(20)
    await_that(lambda: not stage.provider.active, SETTLED_WITHIN)
    with suppress(AssertionError):
        await_that(lambda: running(stage) <= dead, 1)
    let_leases_run_out(stage)
    with stage.looking():
        for _ in range(3):
            db.session.query(StripeEvent).filter_by(state="received").update({"next_try_at": utcnow()})
            db.session.commit()
            sweeper.sweep()
            jobs.process_events()
            sweeper.sweep_payments(jobs.do)
    with suppress(AssertionError):  # what the worker has claimed just now
        await_that(lambda: not received(stage), SETTLED_WITHIN)


def running(stage: Stage) -> int:
    with stage.looking():
        return db.session.query(Usage).filter_by(state="running").count()


def received(stage: Stage) -> int:
    with stage.looking():
        return db.session.query(StripeEvent).filter_by(state="received").count()


def let_leases_run_out(stage: Stage) -> None:
    """The same as waiting for three minutes, for calls that no process has anymore."""
    with stage.looking():
        for usage in db.session.query(Usage).filter_by(state="running"):
            usage.created_at -= timedelta(minutes=3)
        for message in db.session.query(Message).filter_by(status="running"):
            message.checkpoint_at -= timedelta(minutes=3)
        db.session.commit()


def wrongs() -> dict[str, Any]:
    """All that is wrong, by its name; empty where everything is whole."""
    several = select(Recharge.account_id).where(Recharge.state.in_(OPEN)).group_by(Recharge.account_id)
    result = {
        "figures that no row explains": list(audit()),
        "reservations left": ids(Usage.id, Usage.state == "running"),
        "messages without an end": ids(Message.id, Message.status == "running"),
        "events not processed": [event_line(event) for event in db.session.query(StripeEvent).filter(NOT_DONE)],
        "accounts with two open recharges": list(db.session.scalars(several.having(func.count() > 1))),
        "charges without an answer": ids(Usage.id, Usage.state == "settled", PAID > 0, ~has_answer("done", "stopped")),
        "answers that nobody paid": ids(Usage.id, Usage.state == "released", Usage.output > 0, has_answer("done")),
        "calls of no message": ids(Usage.id, Usage.operation == "chat", ~has_answer()),
    }
    return {name: rows for name, rows in result.items() if rows}


NOT_DONE = StripeEvent.state.in_(("received", "failed", "parked"))


def event_line(event: StripeEvent) -> str:
    return f"{event.type} {event.about}: {event.state} after {event.attempts}, due {event.next_try_at}, {event.error}"


PAID = Usage.allowance_paid_nanos + Usage.credits_paid_nanos


def has_answer(*statuses: str) -> Any:
    """Whether the call has a message, of one of these statuses and with text; a title has none."""
    answers = select(Message.id).where(Message.call_id == Usage.id, Message.role == "assistant")
    if not statuses:
        return answers.exists()
    with_text = answers.where(Message.status.in_(statuses), Message.content != "").exists()
    return or_(with_text, Usage.operation != "chat")


def ids(column: Any, *conditions: Any) -> list[int]:
    return list(db.session.scalars(select(column).where(*conditions)))
