"""Reconciliation: Stripe's lists against our rows. Mends what webhooks missed; a second run finds nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select

from app.extensions import db
from app.jobs import commit, rollback
from app.models.base import utcnow
from app.models.billing.auto_recharge import Recharge
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch, NotFound, Rejected
from app.models.billing.refund import Dispute, Refund
from app.models.billing.stripe_account import FormerId, StripeAccount
from app.models.billing.stripe_objects import PaymentState, SessionState, SubscriptionState
from app.models.billing.subscription import LIVE, Subscription
from app.models.identity.account import Account
from app.models.operations.webhook_event import StripeEvent
from app.payments import (
    auto_recharge,
    product_sync,
    refunds,
    session_sync,
    stripe_account,
    sync,
    webhook_events,
)
from app.stripe_api import client

WINDOW = timedelta(days=35)
"""How far back Stripe's lists are read: more than a period, and more than Stripe keeps trying a webhook."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that our rows did not say yet; `mended`, or parked for a person to look at."""

    subject: str
    message: str
    mended: bool = True


def reconcile() -> Iterator[Finding]:
    """Look at everything of Stripe's that our rows do not reflect. Each finding is committed by itself."""
    since = utcnow() - WINDOW
    yield from reconcile_account()
    yield from reconcile_catalog()
    yield from reconcile_subscriptions()
    yield from reconcile_checkouts()
    yield from reconcile_payments(since)
    yield from reconcile_refunds(since)
    yield from reconcile_credit_notes(since)
    yield from reconcile_disputes(since)
    yield from reconcile_attempts()
    yield from reconcile_events()


def looked(subject: str, message: str, look: Callable[[], object]) -> Iterator[Finding]:
    """One look; what does not fit is parked and said so."""

    def seen() -> Iterator[Finding]:
        look()
        commit()
        yield Finding(subject, message)

    return guarded(subject, seen())


def guarded(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """What one thing of several shows: where it cannot be explained, the others are looked at all the same."""
    try:
        yield from findings
    except Mismatch as mismatch:
        rollback()
        yield Finding(subject, f"does not fit: {mismatch}", mended=False)
    except Rejected as error:
        rollback()
        yield Finding(subject, f"could not be looked at: {error}", mended=False)


def reconcile_account() -> Iterator[Finding]:
    """Whether the key is of another account than our ids."""
    before = stripe_account.check()
    now = StripeAccount.in_use()
    if before is not None and now is not None:
        yield Finding(
            now.label, f"is in use instead of {before.label}: customers are created and cards asked for again"
        )


def reconcile_catalog() -> Iterator[Finding]:
    """Plans and packs that Stripe knew, here or at an account of before, and does not know now."""
    missing = [one for one in product_sync.unpublished() if FormerId.is_of(one[0], one[1].id)]
    for kind, sold in [*missing, *product_sync.gone()]:
        subject = f"{kind} {sold.name}"
        yield from looked(subject, "was missing at Stripe: created again", partial(product_sync.make_anew, sold))


def reconcile_subscriptions() -> Iterator[Finding]:
    """Subscriptions that run here or at Stripe, where the two differ."""
    ours = db.session.scalars(
        select(Subscription.stripe_id).where(
            Subscription.status.in_((*LIVE, "incomplete")), Subscription.former_account_id.is_(None)
        )
    )
    running = {stripe_id for stripe_id in ours if stripe_id}
    db.session.commit()
    for fetched in client.subscriptions_of_customers(running):
        yield from guarded(fetched.stripe_id, reconcile_subscription(fetched))


def reconcile_subscription(fetched: SubscriptionState) -> Iterator[Finding]:
    subscription = Subscription.by(stripe_id=fetched.stripe_id)
    if subscription is None and not is_untold(fetched):
        return
    if subscription is None or differs(subscription, fetched):
        look = partial(sync.sync_subscription, fetched.stripe_id)
        for finding in looked(fetched.stripe_id, f"is {fetched.status} at Stripe", look):
            yield finding
            if not finding.mended:
                webhook_events.park_found("customer.subscription.updated", fetched.stripe_id, finding.message)


def is_untold(fetched: SubscriptionState) -> bool:
    """Whether it is of a customer of ours, was not begun here, and no admin has been told."""
    is_ours = Account.with_customer(fetched.customer_id) is not None
    return is_ours and not StripeEvent.is_parked_about(fetched.stripe_id)


def differs(subscription: Subscription, fetched: SubscriptionState) -> bool:
    """Whether a row says something else than Stripe of what we mirror."""
    item = subscription.own_item(fetched)
    is_sold = subscription.plan_of(item.price_id) is not None
    price_id = item.price_id if is_sold else subscription.stripe_price_id
    ours = (subscription.status, subscription.stripe_price_id, subscription.cancel_at_period_end)
    theirs = (fetched.status, price_id, fetched.of(item).is_ending)
    return ours != theirs or subscription.period_end != item.period_end or has_new_invoice(subscription, fetched)


def has_new_invoice(subscription: Subscription, fetched: SubscriptionState) -> bool:
    known = set(db.session.scalars(select(Payment.stripe_invoice_id).where(Payment.subscription_id == subscription.id)))
    db.session.commit()
    paid = client.invoices(fetched.stripe_id)
    return any(one.stripe_id not in known and any(line.amount > 0 for line in one.lines) for one in paid)


def reconcile_checkouts() -> Iterator[Finding]:
    """Checkouts whose end we have not heard of."""
    late = utcnow() - timedelta(minutes=10)
    open_payments = [(row.stripe_session_id, row.id) for row in Payment.waiting(late)]
    begun = Subscription.status == "checkout", Subscription.stripe_session_id.is_not(None)
    query = select(Subscription.stripe_session_id).where(*begun, Subscription.created_at < late)
    query = query.where(Subscription.former_account_id.is_(None))
    sessions = [session_id for session_id, _ in open_payments] + list(db.session.scalars(query))
    db.session.commit()
    for session_id in filter(None, sessions):
        yield from guarded(session_id, reconcile_checkout(session_id))


def reconcile_checkout(session_id: str) -> Iterator[Finding]:
    try:
        fetched = client.session(session_id)
    except NotFound:
        yield from looked(session_id, "is not known at Stripe", partial(forget_checkout, session_id))
        return
    if fetched.status != "open" and not is_known(fetched):
        yield from looked(session_id, f"is {fetched.status}", partial(settle_checkout, fetched))


def forget_checkout(session_id: str) -> None:
    """Nobody can pay it anymore."""
    if payment := Payment.by(stripe_session_id=session_id):
        Account.locked(payment.account_id)
        payment.fall_through()
    if begun := Subscription.by(stripe_session_id=session_id):
        begun.status = "incomplete_expired"


def is_known(fetched: SessionState) -> bool:
    """Whether its bank debit is on its way, here and at Stripe."""
    payment, intent = Payment.by(stripe_session_id=fetched.stripe_id), fetched.payment_intent_id
    if payment is None or payment.state != "processing" or intent is None:
        return False
    return client.payment(intent).status == "processing"


def settle_checkout(fetched: SessionState) -> None:
    session_sync.apply_session(fetched)
    subscription = Subscription.by(stripe_session_id=fetched.stripe_id)
    if subscription is not None and subscription.stripe_id is None:
        subscription.status = "incomplete_expired"


def reconcile_payments(since: datetime) -> Iterator[Finding]:
    """Money that arrived at Stripe and not here."""
    for fetched in client.payments_since(since):
        if not fetched.is_paid or Account.with_customer(fetched.customer_id) is None:
            continue
        known = sync.payment_behind(fetched.stripe_id)
        if known is None or known.state not in ("paid", "parked"):
            yield from paid(fetched)


def paid(fetched: PaymentState) -> Iterator[Finding]:
    """Credit a payment that nobody told us of; one that nobody can explain is parked. Nothing comes of one that pays
    an invoice of something else."""
    for finding in looked(fetched.stripe_id, "was paid", partial(sync.sync_payment, fetched.stripe_id)):
        is_kept = sync.payment_behind(fetched.stripe_id) if finding.mended else park_orphan(fetched, finding.message)
        if is_kept:
            yield finding


def park_orphan(fetched: PaymentState, why: str) -> bool:
    """Keep a payment that does not fit, so that it is shown, and found only once; False where nobody's.

    As the row that it names only where both labels say so: another product numbers its payments too.
    """
    account = Account.with_customer(fetched.customer_id)
    if account is None:
        return False
    sold = Payment.find(fetched.metadata.get("payment_id", ""), account_id=account.id)
    if sold is not None and not sold.is_paid and sold.labels.items() <= fetched.metadata.items():
        sold.park(why)
        sold.stripe_payment_intent_id = fetched.stripe_id
    else:
        Payment.park_unknown(account, fetched, why)
    commit()
    return True


def reconcile_refunds(since: datetime) -> Iterator[Finding]:
    for fetched, intent in client.refunds_since(since):
        known = db.session.scalar(select(Refund).where(Refund.stripe_id == fetched.stripe_id))
        if intent is None or (known is not None and known.status == fetched.status):
            continue
        if sync.payment_behind(intent) is not None:
            yield from looked(fetched.stripe_id, f"is {fetched.status}", partial(sync.sync_refunds, intent))


def reconcile_credit_notes(since: datetime) -> Iterator[Finding]:
    """What credit notes gave back without a refund."""
    for fetched, invoice_id in client.credit_notes_since(since):
        known = db.session.scalar(select(Refund).where(Refund.stripe_id == fetched.stripe_id))
        if known is not None and known.status == fetched.status:
            continue
        if Payment.by(stripe_invoice_id=invoice_id) is not None:
            look = partial(sync.sync_credit_notes, invoice_id)
            yield from looked(fetched.stripe_id, f"is {fetched.status}", look)


def reconcile_disputes(since: datetime) -> Iterator[Finding]:
    for fetched in client.disputes_since(since):
        known = Dispute.by(stripe_id=fetched.stripe_id)
        if known is not None and known.status == fetched.status:
            continue
        if fetched.payment_intent_id and sync.payment_behind(fetched.payment_intent_id) is not None:
            yield from looked(fetched.stripe_id, f"is {fetched.status}", partial(sync.sync_dispute, fetched.stripe_id))


def reconcile_attempts() -> Iterator[Finding]:
    """Recharges that were left open, and refunds that were wanted."""
    for recharge_id in Recharge.all_open(utcnow()):
        yield from guarded(f"recharge {recharge_id}", reconcile_recharge(recharge_id))
    for refund_id in Refund.wanted():
        subject = f"refund {refund_id}"
        yield from looked(subject, "was asked for", partial(refunds.pay_back, refund_id))


def reconcile_recharge(recharge_id: int) -> Iterator[Finding]:
    before = db.session.get_one(Recharge, recharge_id).state
    auto_recharge.resolve(recharge_id)
    db.session.expire_all()
    after = db.session.get_one(Recharge, recharge_id).state
    if after != before:
        yield Finding(f"recharge {recharge_id}", f"was {before}, is {after}")


def reconcile_events() -> Iterator[Finding]:
    """Notices that were stored and whose job was lost."""
    while (event_id := webhook_events.process_next()) is not None:
        yield Finding(f"event {event_id}", "was processed")
