"""Looks at things of Stripe's and brings our rows in line: take a ticket, commit, fetch, lock, apply.

No function here commits what it applied: the job, command or route that looks does, once. Applying the
same thing twice, or an older answer after a newer one, changes nothing (see `Sighting`).
"""

from __future__ import annotations

from app.stripe_api import client
from app import notifications
from app.payments.payment_methods import adopt_card, look_at_setup, pause_recharge, review_recharge
from app.payments.transaction import call_for, commit, ticket_for
from app.extensions import db
from app.models.identity.account import Account
from app.models.billing.subscription_billing import follow
from app.models.billing.payment import Payment
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.operations.webhook_event import Sighting
from app.models.billing.stripe_objects import InvoiceState, Mismatch, PaymentState, SessionState, SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.billing.refund import follow_dispute, follow_refunds


def look_at_subscription(stripe_id: str, invoice_id: str | None = None) -> Account | None:
    """A subscription with all its paid invoices; the account that it belongs to, or None where it is nobody's."""
    ticket = ticket_for(stripe_id)
    found, invoices = client.subscription(stripe_id), client.invoices(stripe_id)
    if invoice_id and invoice_id not in {one.stripe_id for one in invoices}:
        invoices = [*invoices, client.invoice(invoice_id)]
    ours = subscription_for(found)
    if ours is None:
        return None
    look_at_rival(ours)
    account = Account.locked(ours.account_id)
    if Sighting.is_newest(stripe_id, ticket):
        db.session.refresh(ours)
        apply_subscription(ours, account, found, invoices)
    return account


def apply_subscription(
    ours: Subscription, account: Account, found: SubscriptionState, invoices: list[InvoiceState]
) -> None:
    before = notifications.Before.of(ours)
    follow(ours, account, found, invoices)
    db.session.flush()
    notifications.of_subscription(ours, account, before)
    adopt_card(account, ours.card_id, ours.card_label)
    if ours.rejected_at or ours.trial_refused_at or account.closed_at or ours.plan.status == "inactive":
        call_for("end_subscription", ours.id)
    review_recharge(account)


def subscription_for(found: SubscriptionState) -> Subscription | None:
    """Our row: by Stripe's id, by what we wrote on it, or a new one for what was sold at Stripe's dashboard."""
    known = Subscription.with_stripe_id(found.stripe_id)
    if known is not None:
        return known
    labelled = Subscription.find(found.metadata.get("subscription_id", ""))
    if labelled is not None:
        if str(labelled.account_id) != found.metadata.get("account_id"):
            raise Mismatch(
                f"subscription {found.stripe_id} names account {found.metadata.get('account_id')!r}"
            )
        if Account.with_customer(found.customer_id) not in (None, labelled.account):
            raise Mismatch(f"subscription {found.stripe_id} is of another account's customer")
        return labelled
    account = Account.with_customer(found.customer_id)
    if account is None:
        return None
    raise Mismatch(f"subscription {found.stripe_id} of account {account.id} was not begun here")


def look_at_rival(ours: Subscription) -> None:
    """Before a second subscription is sent away, make sure that the first one is still there."""
    rival = Subscription.live_of(ours.account_id)
    if rival is None or rival is ours or ours.is_in_force or rival.stripe_id is None:
        return
    ticket = ticket_for(rival.stripe_id)
    found, invoices = client.subscription(rival.stripe_id), client.invoices(rival.stripe_id)
    account = Account.locked(rival.account_id)
    if Sighting.is_newest(rival.stripe_id, ticket):
        apply_subscription(rival, account, found, invoices)
    commit()


def look_at_payment(stripe_id: str, sold: Payment | None = None) -> Account | None:
    """A payment intent of a pack or a recharge; `sold` is what its checkout session names."""
    found = client.payment(stripe_id)
    payment = sold or payment_for(found)
    if payment is None:
        return look_at_unknown(found)
    if payment.kind == "invoice":
        return payment.account
    account = Account.locked(payment.account_id)
    db.session.refresh(payment)
    apply_payment(payment, account, found)
    return account


def apply_payment(payment: Payment, account: Account, found: PaymentState) -> None:
    recharge = db.session.query(Recharge).filter_by(payment_id=payment.id).one_or_none()
    if recharge is not None:
        apply_recharge(recharge, account, found)
    elif found.is_paid:
        if payment.succeed(account, found):
            notifications.of_purchase(payment, account)
    elif found.status == "processing":
        payment.wait()
    elif found.status == "canceled":
        payment.fall_through()
    else:
        payment.check_payment(found)


def apply_recharge(recharge: Recharge, account: Account, found: PaymentState) -> None:
    """What became of an attempt; money that arrived counts whatever was thought before."""
    settings = AutoRecharge.of(account.id)
    if found.is_paid:
        if recharge.succeed(account, found):
            notifications.of_recharge(recharge, account)
            if settings:
                settings.succeeded()
                call_for("recharge", account.id)
        return
    recharge.payment.check_payment(found)
    if recharge.is_open and found.status == "canceled":
        recharge.cancel()
    if recharge.is_open and found.status in ("requires_payment_method", "requires_action"):
        call_for("resolve_recharge", recharge.id)


def payment_for(found: PaymentState) -> Payment | None:
    """Our row of a payment intent: by its id, or by what we wrote on it. Mismatch where that names another account."""
    known = Payment.with_intent(found.stripe_id)
    if known is not None and known.kind != "unknown":
        return known
    label = found.metadata.get("payment_id")
    payment = Payment.find(label) if label else None
    if label and payment is None:
        raise Mismatch(f"payment {label!r} at Stripe is none of ours")
    if payment and str(payment.account_id) != found.metadata.get("account_id", str(payment.account_id)):
        raise Mismatch(f"payment {label} is of another account than {found.metadata.get('account_id')!r}")
    return payment


def look_at_unknown(found: PaymentState) -> Account | None:
    """A payment without our labels: an invoice's, somebody else's, or one that nobody can explain."""
    account = Account.with_customer(found.customer_id)
    if account is None or not found.is_paid:
        return account
    invoice_id = client.invoice_of_payment(found.stripe_id)
    if invoice_id is not None:
        account = look_at_invoice(invoice_id) or account
        paid = Payment.with_invoice(invoice_id)
        if paid is not None:
            paid.stripe_payment_intent_id = paid.stripe_payment_intent_id or found.stripe_id
        return account
    raise Mismatch(f"payment {found.stripe_id} of account {account.id} was not asked for here")


def look_at_invoice(stripe_id: str) -> Account | None:
    found = client.invoice(stripe_id)
    return look_at_subscription(found.subscription_id, stripe_id) if found.subscription_id else None


def look_at_refunds(payment_intent_id: str) -> Account | None:
    """All refunds of a payment, ours and those made at Stripe's dashboard."""
    payment = known_payment(payment_intent_id)
    if payment is None:
        return None
    subject = f"refunds:{payment_intent_id}"
    ticket = ticket_for(subject)
    found = client.refunds(payment_intent_id)
    account = Account.locked(payment.account_id)
    if Sighting.is_newest(subject, ticket):
        db.session.refresh(payment)
        new = follow_refunds(payment, account, found)
        notifications.of_refunds(payment, account, new)
        if new:
            pause_recharge(account, "refund")
    return account


def look_at_dispute(stripe_id: str) -> Account | None:
    ticket = ticket_for(stripe_id)
    found = client.dispute(stripe_id)
    payment = known_payment(found.payment_intent_id) if found.payment_intent_id else None
    if payment is None:
        return None
    account = Account.locked(payment.account_id)
    if Sighting.is_newest(stripe_id, ticket):
        db.session.refresh(payment)
        dispute = follow_dispute(payment, account, found)
        notifications.of_dispute(dispute, payment, account)
        if dispute.is_against_us:
            pause_recharge(account, "dispute")
    return account


def known_payment(payment_intent_id: str) -> Payment | None:
    """The paid row of a payment intent; where we have not heard that it was paid, that is looked at first."""
    payment = Payment.with_intent(payment_intent_id)
    if payment is None or not payment.is_paid:
        look_at_payment(payment_intent_id)
        commit()
        payment = Payment.with_intent(payment_intent_id)
    return payment


def look_at_session(stripe_id: str) -> tuple[SessionState, Account | None]:
    """A checkout session and what came of it: a payment, a subscription or a saved card."""
    found = client.session(stripe_id)
    return found, apply_session(found)


def apply_session(found: SessionState) -> Account | None:
    if found.mode == "subscription":
        bind_subscription(found)
        return look_at_subscription(found.subscription_id) if found.subscription_id else None
    if found.mode == "setup":
        return look_at_setup(found)
    payment = sold_in(found)
    if payment is None:
        return None
    payment.check_session(found)
    if found.payment_intent_id:
        return look_at_payment(found.payment_intent_id, payment)
    if found.status == "expired":
        Account.locked(payment.account_id)
        payment.fall_through()
    return payment.account


def bind_subscription(found: SessionState) -> None:
    """Note which subscription came of a checkout. Mismatch where the checkout is another account's."""
    begun = Subscription.with_session(found.stripe_id)
    if begun is None or found.subscription_id is None or begun.stripe_id is not None:
        return
    if found.client_reference_id not in (None, str(begun.account_id)):
        raise Mismatch(f"checkout {found.stripe_id} is of account {found.client_reference_id!r}")
    if Subscription.with_stripe_id(found.subscription_id) is None:
        begun.stripe_id = found.subscription_id
        commit()


def sold_in(found: SessionState) -> Payment | None:
    """Our row of a checkout session. Mismatch where it names one that is not there."""
    payment = Payment.with_session(found.stripe_id)
    label = found.metadata.get("payment_id")
    if payment is None and label:
        payment = Payment.find(label)
        if payment is None or payment.stripe_session_id not in (None, found.stripe_id):
            raise Mismatch(f"checkout {found.stripe_id} names payment {label!r}, which is not ours")
    return payment
