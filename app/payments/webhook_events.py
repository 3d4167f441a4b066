"""Webhook events: stored, then processed once or again with the same result. docs/architecture.md: a payment."""

import logging
import time
from threading import Lock

from app.extensions import db
from app.jobs import JobName, acknowledge, commit, enqueue_once, rollback
from app.models.base import at_once, commit_if_begun, utcnow
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch, PaymentsNotSetUp, Rejected, UnknownOutcome
from app.models.operations.webhook_event import StripeEvent
from app.notifications import people_mails
from app.payments.webhook_handlers import react
from app.stripe_api import client

PROCESS = JobName.PROCESS_EVENTS
TURN = 5.0
"""Seconds for which a job processes events before it lets other jobs have theirs."""

COMES_NEXT, ENQUEUES = Lock(), Lock()
"""Of the threads that have stored an event, one waits until it may enqueue the job, and one does so."""

log = logging.getLogger(__name__)


def receive(body: bytes, signature: str | None) -> bool:
    """Store what Stripe sent, once it is proven. Forged for anything else."""
    return store(client.read_webhook(body, signature))


def store(notice: client.Notice) -> bool:
    """Store a notice, commit, enqueue its processing; whether it was open."""
    with at_once() as connection:
        _, is_open = StripeEvent.store(notice.stripe_id, notice.type, notice.about, connection)
    commit_if_begun()
    if is_open:
        enqueue_together()
    return is_open


def enqueue_together() -> None:
    """Enqueue the job; whoever finds another thread waiting to do so leaves it to that one, as it will come later."""
    if COMES_NEXT.acquire(blocking=False):
        with ENQUEUES:
            COMES_NEXT.release()
            enqueue_once(PROCESS)


def process_due() -> int:
    """Process the events that are due, the oldest first, for a turn; how many. What is left is enqueued again."""
    acknowledge(PROCESS)
    until, count = time.monotonic() + TURN, 0
    try:
        while time.monotonic() < until and process_next() is not None:
            count += 1
    finally:
        is_due = StripeEvent.next_due(utcnow()) is not None
        rollback()
        if is_due:
            enqueue_once(PROCESS)
    return count


def process_next() -> int | None:
    """Process the event that has been due for longest; its id, None without any."""
    event_id = StripeEvent.next_due(utcnow())
    if event_id is not None:
        process(event_id)
    return event_id


def process(event_id: int) -> None:
    """Look at what an event is about, apply what is found and mark it done, in one transaction."""
    event = StripeEvent.claim(event_id, utcnow())
    db.session.commit()
    if event is None:
        return
    try:
        account = react(event.type, event.about)
        event.finish(account.id if account else None)
        commit()
    except Mismatch as mismatch:
        park(event_id, mismatch)
    except (UnknownOutcome, Rejected, PaymentsNotSetUp) as error:
        put_off(event_id, f"{type(error).__name__}: {error}")
    except Exception as error:
        put_off(event_id, type(error).__name__)
        raise


def park(event_id: int, mismatch: Mismatch) -> None:
    """What Stripe reports does not fit our rows: nothing is credited; an admin is told."""
    rollback()
    event = db.session.get_one(StripeEvent, event_id)
    log.warning("parked", extra={"event": event.stripe_id, "reason": str(mismatch)})
    event.park(str(mismatch))
    if mismatch.payment_id is not None:
        db.session.get_one(Payment, mismatch.payment_id).park(str(mismatch))
    people_mails.of_parked(str(mismatch))
    commit()


def park_found(kind: str, stripe_id: str, why: str) -> None:
    """What reconciliation found and nobody can explain, as an event that nobody told us of: shown, and found once."""
    event_id, _ = StripeEvent.store(f"found:{stripe_id}", kind, {"id": stripe_id})
    db.session.get_one(StripeEvent, event_id).park(why)
    commit()


def put_off(event_id: int, why: str) -> None:
    """Tried again later, later each time."""
    rollback()
    db.session.get_one(StripeEvent, event_id).fail(why)
    commit()


def process_again(event_id: int) -> None:
    """An admin's wish, and `flask billing events replay`: safe for an event that was applied before."""
    db.session.get_one(StripeEvent, event_id).reopen()
    db.session.commit()
    enqueue_once(PROCESS)
