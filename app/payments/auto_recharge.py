"""Auto-recharge at work: writes an attempt down, charges the card, finds out what became of it. billing-rules.md 8.

Each step may be the last one that its process does: what is committed tells the next one how to go on.
"""

from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.jobs import JobName, commit, enqueue_after_commit, rollback
from app.models.base import utcnow
from app.models.billing.auto_recharge import AUTHENTICATION_LIFETIME, AutoRecharge, Recharge
from app.models.billing.payment_errors import (
    AuthenticationNeeded,
    Declined,
    Mismatch,
    Rejected,
    UnknownOutcome,
)
from app.models.billing.stripe_objects import PaymentState
from app.models.identity.account import Account
from app.models.metering.member_limit import next_month
from app.notifications import payment_mails, people_mails
from app.payments.payment_methods import pause_recharge
from app.payments.sync import apply_recharge
from app.stripe_api import client, requests, taxes


def recharge(account_id: int) -> None:
    """Charge the saved card once, where the account's settings say that it is time."""
    attempt_id = write_attempt(account_id)
    if attempt_id is not None:
        resolve(attempt_id)


def write_attempt(account_id: int) -> int | None:
    """An attempt for what the settings say, committed before anything is asked of Stripe; None where none is due."""
    settings = AutoRecharge.of(account_id)
    if settings is None or not settings.is_acting:
        return None
    account = Account.locked(account_id)
    db.session.refresh(settings)
    try:
        attempt = next_attempt(settings, account)
        commit()
    except IntegrityError:
        rollback()
        return None
    return attempt.id if attempt else None


def next_attempt(settings: AutoRecharge, account: Account) -> Recharge | None:
    now = utcnow()
    why = settings.forbidden_by() if settings.is_acting else None
    if why is not None:
        pause_recharge(account, why)
        return None
    if Recharge.open_for(account.id) is not None or not settings.is_acting:
        return None
    if settings.is_due(now):
        return Recharge.attempt(settings, account)
    if settings.is_low() and settings.exceeds_month(now):
        payment_mails.of_limit(settings, account, now)
    return None


def resolve(recharge_id: int) -> None:
    """Take an open attempt one step further, wherever it was left."""
    attempt = db.session.get(Recharge, recharge_id, populate_existing=True)
    if attempt is None or not attempt.is_open:
        return
    if attempt.state == "authentication":
        await_owner(attempt)
        return
    fetched = sent_before(attempt) if attempt.tries else None
    if fetched is not None:
        learn(recharge_id, fetched)
    elif not attempt.key_is_alive(utcnow()):
        give_up(recharge_id)
    elif is_allowed(attempt):
        send(attempt)


def is_allowed(attempt: Recharge) -> bool:
    """Whether the settings of now let it be charged; else it waits, since an earlier request may have arrived."""
    account = db.session.get_one(Account, attempt.account_id, populate_existing=True)
    settings = AutoRecharge.of(account.id)
    return settings is not None and settings.allows_open(utcnow())


def send(attempt: Recharge) -> None:
    """Charge the card; no answer leaves the attempt open, to be asked again with the same key."""
    attempt.tries += 1
    recharge_id = attempt.id
    commit()
    try:
        tax = add_tax(attempt)
        if not attempt.is_open:
            return
        fetched = requests.charge_saved_card(attempt, tax)
    except UnknownOutcome:
        return
    except AuthenticationNeeded as need:
        ask_owner(recharge_id, need.payment_intent_id)
    except Declined as refusal:
        decline(recharge_id, refusal.code)
    except Rejected:
        decline(recharge_id, "card_unusable")
    else:
        learn(recharge_id, fetched)


def add_tax(attempt: Recharge) -> taxes.Calculation | None:
    """The tax of an attempt, once: what it comes to with it is held to the month's maximum too."""
    if not attempt.payment.is_taxed:
        return None
    tax = taxes.calculate(attempt)
    attempt, account = held(attempt.id)
    settings = AutoRecharge.of(account.id)
    if attempt.is_open and not attempt.payment.tax_cents:
        attempt.payment.add_tax(on_top=tax.exclusive, included=tax.inclusive)
        if settings is not None and settings.month_total_cents(utcnow()) > settings.monthly_max_cents:
            attempt.cancel()
            settings.next_attempt_at = next_month(utcnow())
            payment_mails.of_limit(settings, account, utcnow())
    commit()
    return tax


def sent_before(attempt: Recharge) -> PaymentState | None:
    """What Stripe already has of an attempt whose answer was lost."""
    label, customer, since = str(attempt.id), attempt.stripe_customer_id, attempt.created_at
    known = attempt.stripe_payment_intent_id
    if known:
        return client.payment(known)
    fetched = client.payments_since(since - client.CLOCK_SKEW, customer)
    return next((one for one in fetched if one.metadata.get("recharge_id") == label), None)


def learn(recharge_id: int, fetched: PaymentState) -> None:
    """Write down what became of an attempt."""
    if fetched.status == "requires_action" or fetched.decline_code == "authentication_required":
        ask_owner(recharge_id, fetched.stripe_id)
        return
    if fetched.status == "requires_payment_method":
        decline(recharge_id, fetched.decline_code or "card_declined")
        return
    attempt, account = held(recharge_id)
    try:
        apply_recharge(attempt, account, fetched)
    except Mismatch as mismatch:
        rollback()
        attempt, account = held(recharge_id)
        attempt.cancel()
        attempt.payment.park(str(mismatch))
        people_mails.of_parked(str(mismatch))
    commit()


def held(recharge_id: int) -> tuple[Recharge, Account]:
    """The attempt as it is now, with its account locked."""
    attempt = db.session.get_one(Recharge, recharge_id)
    account = Account.locked(attempt.account_id)
    db.session.refresh(attempt)
    return attempt, account


def decline(recharge_id: int, code: str) -> None:
    """The card did not pay: the owner is told, and the next attempt waits."""
    attempt, account = held(recharge_id)
    if not attempt.is_open:
        rollback()
        return
    attempt.decline(code)
    settings = AutoRecharge.of(account.id)
    is_paused = settings.declined(utcnow()) if settings else False
    payment_mails.of_decline(attempt, settings, account)
    if settings and is_paused:
        payment_mails.of_pause(settings, account)
    commit()


def ask_owner(recharge_id: int, payment_intent_id: str | None) -> None:
    """The bank wants its owner: a link by mail; nothing is credited until then."""
    attempt, account = held(recharge_id)
    if attempt.state == "open":
        attempt.ask_owner(payment_intent_id)
        payment_mails.of_authentication(attempt, account)
    commit()


def await_owner(attempt: Recharge) -> None:
    """Whether the owner has confirmed; after a day the attempt is cancelled and auto-recharge pauses."""
    recharge_id, intent = attempt.id, attempt.stripe_payment_intent_id
    is_late = utcnow() >= attempt.created_at + AUTHENTICATION_LIFETIME
    fetched = client.payment(intent) if intent else None
    if fetched is not None and not fetched.is_paid and is_late:
        fetched = requests.cancel_payment(fetched.stripe_id)
    if fetched is not None and (fetched.is_paid or fetched.status == "canceled"):
        learn(recharge_id, fetched)
    if is_late:
        attempt, account = held(recharge_id)
        if attempt.is_open:
            attempt.cancel()
        if attempt.state == "canceled":
            pause_recharge(account, "authentication")
        commit()


def give_up(recharge_id: int) -> None:
    """Stripe has forgotten the key and has no payment of it: the card was never charged."""
    attempt, account = held(recharge_id)
    if attempt.is_open:
        attempt.cancel()
        enqueue_after_commit(JobName.RECHARGE, account.id)
    commit()


def confirm(attempt: Recharge, return_url: str) -> str | None:
    """The owner is there: where the bank asks, or None where it is paid. Declined where the card does not pay."""
    attempt.confirmations += 1
    recharge_id = attempt.id
    commit()
    try:
        fetched = requests.confirm_payment(attempt, return_url)
    except Rejected:
        fetched = client.payment(attempt.stripe_payment_intent_id or "")
    if fetched.confirm_url and not fetched.is_paid:
        return fetched.confirm_url
    learn(recharge_id, fetched)
    return None
