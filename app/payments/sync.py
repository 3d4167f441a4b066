"""Syncs our rows with Stripe's objects: take a version, commit, fetch, lock, apply.

No function here commits what it applied: the job, command or route that looks does, once. Applying the
same thing twice, or an older answer after a newer one, changes nothing (see `SyncVersion`).
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from app.extensions import db
from app.jobs import JobName, commit, enqueue_after_commit
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch
from app.models.billing.refund import follow_dispute, follow_refunds
from app.models.billing.stripe_objects import (
    DisputeState,
    InvoiceState,
    PaymentState,
    RefundState,
    SubscriptionState,
)
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import follow
from app.models.identity.account import Account
from app.models.operations.webhook_event import SyncVersion
from app.notifications import payment_mails
from app.payments.payment_methods import adopt_card, pause_recharge, review_recharge
from app.stripe_api import client

Fetched = TypeVar("Fetched")
Row = TypeVar("Row", Subscription, Payment)
Billed = tuple[SubscriptionState, list[InvoiceState]]


def sync(
    subject: str,
    fetch: Callable[[], Fetched],
    find: Callable[[Fetched], Row | None],
    apply: Callable[[Row, Account, Fetched], None],
) -> Account | None:
    """The steps, in their order; the account of our row, or None where what was fetched is nobody's."""
    version = SyncVersion.begin(subject)
    commit()
    fetched = fetch()
    row = find(fetched)
    if row is None:
        return None
    account = Account.locked(row.account_id)
    if SyncVersion.is_newest(subject, version):
        db.session.refresh(row)
        apply(row, account, fetched)
    return account


def sync_subscription(stripe_id: str, invoice_id: str | None = None) -> Account | None:
    """A subscription with all its paid invoices."""
    fetch = partial(fetch_subscription, stripe_id, invoice_id)
    return sync(stripe_id, fetch, after_its_rival, apply_subscription)


def sync_refunds(payment_intent_id: str) -> Account | None:
    """All refunds of a payment, ours and those made at Stripe's dashboard."""
    payment = known_payment(payment_intent_id)
    if payment is None:
        return None
    fetch = partial(client.refunds, payment_intent_id)
    return sync(f"refunds:{payment_intent_id}", fetch, lambda _: payment, apply_refunds)


def sync_credit_notes(invoice_id: str) -> Account | None:
    """What was given back of a paid invoice by credit notes and not by refunds."""
    payment = Payment.by(stripe_invoice_id=invoice_id)
    if payment is None or not payment.is_paid:
        sync_invoice(invoice_id)
        commit()
        payment = Payment.by(stripe_invoice_id=invoice_id)
    if payment is None or not payment.is_paid:
        return None
    fetch = partial(client.credit_notes, invoice_id)
    return sync(f"credit_notes:{invoice_id}", fetch, lambda _: payment, apply_refunds)


def sync_dispute(stripe_id: str) -> Account | None:
    return sync(stripe_id, partial(client.dispute, stripe_id), disputed_payment, apply_dispute)


def sync_invoice(stripe_id: str) -> Account | None:
    fetched = client.invoice(stripe_id)
    return sync_subscription(fetched.subscription_id, stripe_id) if fetched.subscription_id else None


def fetch_subscription(stripe_id: str, invoice_id: str | None = None) -> Billed:
    """With all its invoices, the one that is asked for among them."""
    fetched, invoices = client.subscription(stripe_id), client.invoices(stripe_id)
    if invoice_id and invoice_id not in {one.stripe_id for one in invoices}:
        invoices = [*invoices, client.invoice(invoice_id)]
    return fetched, invoices


def after_its_rival(billed: Billed) -> Subscription | None:
    """Our row, once it is known whether an older subscription of the account is still there."""
    ours = subscription_for(billed[0])
    if ours is not None:
        sync_rival(ours)
    return ours


def apply_subscription(ours: Subscription, account: Account, billed: Billed) -> None:
    before = payment_mails.Before.of(ours)
    follow(ours, account, *billed)
    db.session.flush()
    payment_mails.of_subscription(ours, account, before)
    adopt_card(account, ours.card_id, ours.card_label)
    if ours.rejected_at or account.closed_at or ours.is_retired:
        enqueue_after_commit(JobName.END_SUBSCRIPTION, ours.id)
    review_recharge(account)


def subscription_for(fetched: SubscriptionState) -> Subscription | None:
    """Our row: by Stripe's id, or by what we wrote on it; None where it is no customer's of ours. Mismatch for what
    was sold to one of ours at Stripe's dashboard."""
    known = Subscription.by(stripe_id=fetched.stripe_id)
    if known is not None:
        return known
    account = Account.with_customer(fetched.customer_id)
    labelled = Subscription.find(fetched.metadata.get("subscription_id", ""))
    if labelled is not None and (account or labelled.stripe_customer_id == fetched.customer_id):
        if str(labelled.account_id) != fetched.metadata.get("account_id"):
            raise Mismatch(f"subscription {fetched.stripe_id} names account {fetched.metadata.get('account_id')!r}")
        if account not in (None, labelled.account):
            raise Mismatch(f"subscription {fetched.stripe_id} is of another account's customer")
        return labelled
    if account is None:
        return None
    raise Mismatch(f"subscription {fetched.stripe_id} of account {account.id} was not begun here")


def sync_rival(ours: Subscription) -> None:
    """Before a second subscription is sent away, make sure that the first one is still there."""
    rival = Subscription.live_of(ours.account_id)
    if rival is None or rival is ours or ours.is_in_force or rival.stripe_id is None:
        return
    sync(rival.stripe_id, partial(fetch_subscription, rival.stripe_id), lambda _: rival, apply_subscription)
    commit()


def sync_payment(stripe_id: str, sold: Payment | None = None) -> Account | None:
    """A payment intent of a pack or a recharge; `sold` is what its checkout session names."""
    fetched = client.payment(stripe_id)
    payment = sold or payment_for(fetched)
    if payment is None:
        return sync_unknown_payment(fetched)
    if payment.kind == "invoice":
        payment.method = fetched.method or payment.method
        return payment.account
    was_begun = sold is None and is_debit_begun(payment, fetched)
    taxed = client.session(payment.stripe_session_id or "") if payment.awaits_tax else None
    account = Account.locked(payment.account_id)
    db.session.refresh(payment)
    if taxed is not None:
        payment.take_tax(taxed)
    if was_begun:
        payment.wait()
    apply_payment(payment, account, fetched)
    return account


def is_debit_begun(payment: Payment, fetched: PaymentState) -> bool:
    """Whether what was refused is a bank debit of a checkout that is over, of which we have not heard.

    A card that was declined leaves its checkout open: another may be tried.
    """
    session_id = payment.stripe_session_id
    if payment.state != "open" or session_id is None or fetched.status != "requires_payment_method":
        return False
    return client.session(session_id).status == "complete"


def apply_payment(payment: Payment, account: Account, fetched: PaymentState) -> None:
    recharge = db.session.query(Recharge).filter_by(payment_id=payment.id).one_or_none()
    payment.method = fetched.method or payment.method
    if recharge is not None:
        apply_recharge(recharge, account, fetched)
    elif fetched.is_paid:
        if payment.succeed(account, fetched):
            payment_mails.of_purchase(payment, account)
    elif fetched.status == "processing":
        payment.wait()
        payment_mails.of_debit(payment, account)
    elif fetched.status == "canceled":
        payment.fall_through()
    elif fetched.status == "requires_payment_method" and payment.state == "processing":
        payment.fall_through("failed")
        payment_mails.of_failed_debit(payment, account)
    else:
        payment.check_payment(fetched)


def apply_recharge(recharge: Recharge, account: Account, fetched: PaymentState) -> None:
    """What became of an attempt; money that arrived counts whatever was thought before."""
    settings = AutoRecharge.of(account.id)
    if fetched.is_paid:
        if recharge.succeed(account, fetched):
            payment_mails.of_recharge(recharge, account)
            if settings:
                settings.succeeded()
                enqueue_after_commit(JobName.RECHARGE, account.id)
        return
    recharge.payment.check_payment(fetched)
    if recharge.is_open and fetched.status == "canceled":
        recharge.cancel()
    if recharge.is_open and fetched.status in ("requires_payment_method", "requires_action"):
        enqueue_after_commit(JobName.RESOLVE_RECHARGE, recharge.id)


def payment_for(fetched: PaymentState) -> Payment | None:
    """Our row of a payment intent: by its id, or by what we wrote on it. Mismatch where that names another account.

    Another product at the same Stripe account may write the same words: they count for customers of ours alone.
    """
    known = Payment.by(stripe_payment_intent_id=fetched.stripe_id)
    if known is not None and known.kind != "unknown":
        return known
    account, labels = Account.with_customer(fetched.customer_id), fetched.metadata
    if account is None or not {"payment_id", "account_id"} <= labels.keys():
        return None
    payment = Payment.find(labels["payment_id"])
    if payment is None:
        raise Mismatch(f"payment {labels['payment_id']!r} at Stripe isn't ours")
    if {labels["account_id"], str(account.id)} != {str(payment.account_id)}:
        raise Mismatch(f"payment {payment.id} is of another account than {labels['account_id']!r}")
    return payment


def sync_unknown_payment(fetched: PaymentState) -> Account | None:
    """A payment without our labels: an invoice's, somebody else's, or one that nobody can explain."""
    account = Account.with_customer(fetched.customer_id)
    if account is None or not fetched.is_paid:
        return account
    invoice_id = client.invoice_of_payment(fetched.stripe_id)
    if invoice_id is not None:
        account = sync_invoice(invoice_id) or account
        paid = Payment.by(stripe_invoice_id=invoice_id)
        if paid is not None:
            paid.stripe_payment_intent_id = paid.stripe_payment_intent_id or fetched.stripe_id
        return account
    raise Mismatch(f"payment {fetched.stripe_id} of account {account.id} was not asked for here")


def apply_refunds(payment: Payment, account: Account, fetched: list[RefundState]) -> None:
    new = follow_refunds(payment, account, fetched)
    payment_mails.of_refunds(payment, account, new)
    if new:
        pause_recharge(account, "refund")


def disputed_payment(fetched: DisputeState) -> Payment | None:
    return known_payment(fetched.payment_intent_id) if fetched.payment_intent_id else None


def apply_dispute(payment: Payment, account: Account, fetched: DisputeState) -> None:
    dispute = follow_dispute(payment, account, fetched)
    payment_mails.of_dispute(dispute, payment, account)
    if dispute.is_against_us:
        pause_recharge(account, "dispute")


def known_payment(payment_intent_id: str) -> Payment | None:
    """The paid row of a payment intent; where we have not heard that it was paid, that is looked at first."""
    payment = payment_behind(payment_intent_id)
    if payment is None or not payment.is_paid:
        sync_payment(payment_intent_id)
        commit()
        payment = payment_behind(payment_intent_id)
    return payment


def payment_behind(payment_intent_id: str) -> Payment | None:
    """Our row of a payment intent, which may be one of several that paid an invoice."""
    if payment := Payment.by(stripe_payment_intent_id=payment_intent_id):
        return payment
    invoice_id = client.invoice_of_payment(payment_intent_id)
    return Payment.by(stripe_invoice_id=invoice_id) if invoice_id else None
