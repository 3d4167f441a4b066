"""The sweeper: finds what a dead process or a forgetful queue left undone. billing-rules.md 5 and 8."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from app.extensions import db
from app.jobs import ENDS_ALL, JobName
from app.models.base import utcnow
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.billing.refund import Refund
from app.models.billing.subscription import Subscription
from app.models.chat.chat import Message
from app.models.documents.document import Revision
from app.models.metering import held_call
from app.models.metering.account_state import AccountState
from app.models.metering.call_ending import INTERRUPTED
from app.models.metering.reservation import reservation_of, settle
from app.models.metering.usage import Usage
from app.observability.counters import count_call
from app.payments import product_sync, promotion_codes, refunds, stripe_account
from app.providers.base import TokenUsage, estimate_tokens
from app.stripe_api import client

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=10)
"""A process writes down once a second that its calls run."""

CERTAIN = timedelta(minutes=2)
"""A silence as long as no database is away: shorter ones are looked at twice."""

CHARGE_MAY_TAKE = timedelta(seconds=20)
"""Then whoever began a recharge is believed dead."""

SECOND_LOOK = 3.0
"""Seconds in which a process whose database was away, or whose clock is wrong, writes again."""


def sweep() -> int:
    """Release every reservation whose lease ran out; returns how many. Commits each by itself.

    One that cannot be released holds up no other; what was wrong with it is raised at the end.
    """
    silent = lost_calls()
    if any(sign > utcnow() - CERTAIN for sign in silent.values()):
        db.session.rollback()
        time.sleep(SECOND_LOOK)
        silent = dict(silent.items() & lost_calls().items())
    released, faults = 0, list[Exception]()
    for usage_id in sorted(silent):
        try:
            released += release(usage_id)
        except ENDS_ALL:
            raise
        except Exception as fault:
            log.warning("call not released", extra={"call": usage_id})
            db.session.rollback()
            faults.append(fault)
    if released:
        log.warning("swept %d lost calls", released)
    if faults:
        raise faults[0]
    return released


def sweep_payments(act: Callable[[JobName, int], object]) -> None:
    """Have what is left undone about payments done by `act(job, id)`."""
    if not client.is_set_up():
        return
    stripe_account.check()
    now = utcnow()
    waiting = {
        JobName.RESOLVE_RECHARGE: Recharge.all_open(now - CHARGE_MAY_TAKE),
        JobName.RECHARGE: AutoRecharge.below_threshold(now),
        JobName.PAY_BACK: Refund.wanted(),
    }
    db.session.commit()
    for name, identifiers in waiting.items():
        for identifier in identifiers:
            act(name, identifier)
    refunds.refund_rejected()
    promotion_codes.release_stale()
    end_subscriptions(act)
    publish_what_is_new(act)


def end_subscriptions(act: Callable[[JobName, int], object]) -> None:
    """Second subscriptions, those of closed accounts and of inactive plans, those left with another Stripe account."""
    waiting = Subscription.to_cancel() + Subscription.run_out(utcnow())
    db.session.commit()
    for subscription_id in waiting:
        act(JobName.END_SUBSCRIPTION, subscription_id)


def publish_what_is_new(act: Callable[[JobName, int], object]) -> None:
    waiting = [(kind, sold.id) for kind, sold in product_sync.unpublished()]
    waiting += [("code", code_id) for code_id in promotion_codes.unpublished()]
    db.session.commit()
    for kind, sold_id in waiting:
        act(JobName[f"PUBLISH_{kind.upper()}"], sold_id)


def lost_calls() -> dict[int, datetime]:
    """Running calls without a sign of life within the lease, and that sign: by the row of their text, or by themselves.

    What is held for a call elsewhere has the lease that its caller was told. A sign of the future may be of a process
    that died while its clock was ahead; what is held waits for it.
    """
    now = utcnow()
    answers = and_(Message.call_id == Usage.id, Message.role == "assistant")
    signs = Message.checkpoint_at, Revision.checkpoint_at, Usage.renewed_at, Usage.created_at
    last_sign: ColumnElement[datetime] = func.coalesce(*signs)
    is_silent = or_(last_sign < now - LEASE, last_sign > now + CERTAIN)
    lost = case((held_call.IS_HELD, last_sign < now - held_call.LEASE), else_=is_silent)
    rows = select(Usage.id, last_sign).outerjoin(Message, answers).outerjoin(Revision, Revision.call_id == Usage.id)
    return dict(iter(db.session.execute(rows.where(Usage.state == "running", lost))))


def text_of(usage_id: int) -> Message | Revision | None:
    """The row that keeps a call's text."""
    message = select(Message).filter_by(call_id=usage_id, role="assistant")
    return db.session.scalar(message) or db.session.scalar(select(Revision).filter_by(call_id=usage_id))


def release(usage_id: int) -> bool:
    """Nothing is paid; our cost, as far as it can be known, is absorbed. The text so far is kept."""
    usage = db.session.get_one(Usage, usage_id)
    AccountState.lock(usage.account_id)
    if usage_id not in lost_calls():
        db.session.rollback()
        return False
    kept = text_of(usage_id)
    spent = TokenUsage(
        uncached_input=usage.uncached_input,
        output=estimate_tokens(kept.written) if kept else 0,
        source="estimated",
    )
    reservation = reservation_of(usage)
    receipt = settle(reservation, spent, "interrupted")
    if receipt and kept:
        kept.status, kept.error_code, kept.error_detail = "interrupted", "interrupted", INTERRUPTED
    db.session.commit()
    if receipt:
        cost = receipt.paid + receipt.absorbed
        model = reservation.prompt.model
        count_call(model, "interrupted", receipt.usage, cost=cost, absorbed=receipt.absorbed)
    return receipt is not None
