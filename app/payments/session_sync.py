"""Syncs a checkout session: its payment, subscription or saved card. Only `look_up` commits."""

from dataclasses import dataclass

from app.extensions import db
from app.jobs import commit, rollback
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch, NotFound, Rejected, UnknownOutcome
from app.models.billing.stripe_objects import SessionState
from app.models.billing.subscription import Subscription
from app.models.identity.account import Account
from app.payments.payment_methods import sync_setup
from app.payments.sync import sync_payment, sync_subscription
from app.stripe_api import client


def sync_session(stripe_id: str) -> tuple[SessionState, Account | None]:
    fetched = client.session(stripe_id)
    return fetched, apply_session(fetched)


def apply_session(fetched: SessionState) -> Account | None:
    if fetched.mode == "subscription":
        bind_subscription(fetched)
        release_code(fetched)
        return sync_subscription(fetched.subscription_id) if fetched.subscription_id else None
    if fetched.mode == "setup":
        return sync_setup(fetched)
    payment = sold_in(fetched)
    if payment is None:
        return None
    payment.check_session(fetched)
    if payment.is_taxed:
        Account.locked(payment.account_id)
        db.session.refresh(payment)
        payment.take_tax(fetched)
        commit()
    if fetched.payment_intent_id:
        if fetched.status == "complete":
            payment.wait()
        sync_payment(fetched.payment_intent_id, payment)
    if fetched.status == "expired":
        Account.locked(payment.account_id)
        payment.fall_through()
    return payment.account


def bind_subscription(fetched: SessionState) -> None:
    """Note which subscription came of a checkout. Mismatch where the checkout is another account's."""
    begun = Subscription.by(stripe_session_id=fetched.stripe_id)
    if begun is None or fetched.subscription_id is None or begun.stripe_id is not None:
        return
    if fetched.client_reference_id not in (None, str(begun.account_id)):
        raise Mismatch(f"checkout {fetched.stripe_id} is of account {fetched.client_reference_id!r}")
    if Subscription.by(stripe_id=fetched.subscription_id) is None:
        begun.stripe_id = fetched.subscription_id
        commit()


def release_code(fetched: SessionState) -> None:
    """The checkout of a subscription is over and nothing came of it: its code is free again."""
    begun = Subscription.by(stripe_session_id=fetched.stripe_id) if fetched.status == "expired" else None
    if begun is not None and begun.redemption is not None:
        Account.locked(begun.account_id)
        db.session.refresh(begun.redemption)
        begun.redemption.release()


def sold_in(fetched: SessionState) -> Payment | None:
    """Our row of a checkout session; None where it is no customer's of ours. Mismatch where it names one that is not
    there."""
    payment = Payment.by(stripe_session_id=fetched.stripe_id)
    label = fetched.metadata.get("payment_id")
    if payment is None and label and Account.with_customer(fetched.customer_id):
        payment = Payment.find(label)
        if payment is None or payment.stripe_session_id not in (None, fetched.stripe_id):
            raise Mismatch(f"checkout {fetched.stripe_id} names payment {label!r}, which is not ours")
    return payment


@dataclass(frozen=True, slots=True)
class ReturnedSession:
    """`state` is "done", "waiting", "expired" or "parked"; `is_own`: Stripe says that it is the account's."""

    state: str
    is_own: bool = False


def look_up(session_id: str, account_id: int) -> ReturnedSession:
    """Ask Stripe for the session and apply what came of it. NotFound where there is none of that id."""
    try:
        session = client.session(session_id)
        if not is_of(session, account_id):
            return ReturnedSession("parked")
        apply_session(session)
        commit()
    except Mismatch:
        rollback()
        return ReturnedSession("parked")
    except NotFound:
        raise
    except (UnknownOutcome, Rejected):
        rollback()
        return ReturnedSession("waiting")
    return ReturnedSession(state_of(session), is_own=True)


def is_of(session: SessionState, account_id: int) -> bool:
    """Whether a session was opened for that account, by both things that we wrote on it."""
    own = str(account_id)
    return session.client_reference_id == own and session.metadata.get("account_id", own) == own


def state_of(session: SessionState) -> str:
    if session.status == "expired":
        return "expired"
    is_done = session.status == "complete" and session.payment_status != "unpaid"
    return "done" if is_done else "waiting"
