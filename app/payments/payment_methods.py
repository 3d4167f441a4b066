"""Saved cards: which one auto-recharge uses, and what pauses it. Nothing here commits what it applied."""

from app.jobs import JobName, commit, enqueue_after_commit
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment_errors import Mismatch
from app.models.billing.stripe_objects import SessionState
from app.models.identity.account import Account
from app.models.operations.webhook_event import SyncVersion
from app.notifications import payment_mails
from app.stripe_api import client


def sync_setup(fetched: SessionState) -> Account | None:
    """A card that was saved for auto-recharge."""
    account = Account.with_customer(fetched.customer_id)
    card = client.setup_card(fetched.setup_intent_id) if fetched.setup_intent_id else None
    if account is None or card is None:
        return account
    if fetched.client_reference_id not in (None, str(account.id)):
        raise Mismatch(f"checkout {fetched.stripe_id} is of account {fetched.client_reference_id!r}, not {account.id}")
    account = Account.locked(account.id)
    adopt_card(account, card.stripe_id, card.label, replace=True)
    enqueue_after_commit(JobName.USE_CARD, account.id)
    return account


def look_at_customer(customer_id: str) -> Account | None:
    """A customer's cards, and whether it is still there."""
    account = Account.with_customer(customer_id)
    if account is None:
        return None
    version = SyncVersion.begin(customer_id)
    commit()
    fetched = client.customer(customer_id)
    cards = [] if fetched.is_deleted else client.cards(customer_id)
    account = Account.locked(account.id)
    if not SyncVersion.is_newest(customer_id, version) or account.stripe_customer_id != customer_id:
        return account
    if fetched.is_deleted:
        account.lose_customer(customer_id)
    keep_card(account, {card.stripe_id: card.label for card in cards}, fetched.default_card_id)
    return account


def keep_card(account: Account, cards: dict[str, str], default: str | None) -> None:
    """Auto-recharge goes on with its card, else with the customer's default one, else it pauses."""
    settings = AutoRecharge.of(account.id)
    if settings is None or settings.card_id in cards:
        return
    chosen = default if default in cards else next(iter(cards), None)
    if chosen is not None and settings.card_id is None:
        adopt_card(account, chosen, cards[chosen])
    elif settings.card_id is not None and settings.lose_card():
        payment_mails.of_pause(settings, account)


def adopt_card(account: Account, card_id: str | None, label: str, *, replace: bool = False) -> None:
    """A card that auto-recharge may use, where it has none (or its owner saved this one for it)."""
    settings = AutoRecharge.of(account.id)
    if settings is None or card_id is None or (settings.card_id and not replace):
        return
    settings.use_card(card_id, label)
    enqueue_after_commit(JobName.RECHARGE, account.id)


def pause_recharge(account: Account, why: str) -> None:
    settings = AutoRecharge.of(account.id)
    if settings is not None and settings.pause(why):
        payment_mails.of_pause(settings, account)


def review_recharge(account: Account) -> None:
    """Pause auto-recharge where plan, pack or account do not permit it anymore."""
    settings = AutoRecharge.of(account.id)
    why = settings.forbidden_by() if settings and settings.is_acting else None
    if why is not None:
        pause_recharge(account, why)
