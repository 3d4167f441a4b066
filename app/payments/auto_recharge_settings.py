"""Auto-recharge as its owner turns it on, off or changes it."""

from dataclasses import dataclass

from app.extensions import db
from app.jobs import JobName, commit, enqueue_after_commit
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.stripe_objects import CardState
from app.models.catalog.pack_tier import MOST_PACKS
from app.models.catalog.plan import CreditPack
from app.models.catalog.quote import check_packs_allowed
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.refusal import InvalidRequest
from app.payments import checkout, payment_methods
from app.stripe_api import client


@dataclass(frozen=True, slots=True)
class RechargeOptions:
    """What the form says."""

    pack_id: str
    quantity: int
    threshold_nanos: int
    monthly_max_cents: int
    target_nanos: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """`setup_url`: where a card must be saved before it acts; None where there is one."""

    settings: AutoRecharge
    setup_url: str | None


def turn_on(owner: Actor, options: RechargeOptions) -> Saved:
    """Save the settings and act on them; without a saved card they wait for one. InvalidRequest, Refusal."""
    checkout.check_set_up()
    pack = checked_pack(owner.account, options)
    card = find_card(owner.account_id)
    settings = written(Account.locked(owner.account_id), pack, options)
    settings.card_id, settings.card_label = (card.stripe_id, card.label) if card else (None, "")
    settings.turn_on()
    enqueue_after_commit(JobName.RECHARGE, owner.account_id)
    commit()
    return Saved(settings, None if card else checkout.save_card(owner))


def checked_pack(account: Account, options: RechargeOptions) -> CreditPack:
    """The pack of the wish, where it may be bought so often on that plan and within that maximum."""
    pack = checkout.pack_on_sale(options.pack_id)
    check_packs_allowed(account)
    if not 1 <= options.quantity <= MOST_PACKS:
        raise InvalidRequest({"quantity": [f"must be between 1 and {MOST_PACKS}."]})
    if options.target_nanos is not None and options.target_nanos <= options.threshold_nanos:
        raise InvalidRequest({"target_credits": ["must be above the balance that it acts below."]})
    if options.monthly_max_cents < least_recharge(pack, options):
        raise InvalidRequest({"monthly_max_cents": ["is less than one recharge costs."]})
    return pack


def least_recharge(pack: CreditPack, options: RechargeOptions) -> int:
    """What one recharge costs at least, in cents."""
    if options.target_nanos is None:
        return pack.quote(options.quantity).price_cents
    return pack.quote_worth(options.target_nanos - options.threshold_nanos).price_cents


def written(account: Account, pack: CreditPack, options: RechargeOptions) -> AutoRecharge:
    """The settings of a locked account with what is wished for; from now on the pack costs what the owner was shown."""
    pack.lock_terms()
    settings = AutoRecharge.of(account.id) or AutoRecharge(account=account)
    settings.pack, settings.quantity = pack, options.quantity
    settings.target_nanos = options.target_nanos
    settings.threshold_nanos, settings.monthly_max_cents = options.threshold_nanos, options.monthly_max_cents
    db.session.add(settings)
    db.session.flush()
    return settings


def find_card(account_id: int) -> CardState | None:
    """The card that the settings have, while the customer has it too; else the customer's default or first one."""
    customer_id = checkout.customer_of(account_id)
    settings = AutoRecharge.of(account_id)
    chosen = settings.card_id if settings else None
    customer = client.customer(customer_id)
    if customer.is_deleted:
        payment_methods.look_at_customer(customer_id)
        commit()
        return None
    default = customer.default_card_id
    saved = {card.stripe_id: card for card in client.cards(customer_id)}
    wanted = (saved.get(card_id) for card_id in (chosen, default) if card_id)
    return next((card for card in wanted if card), None) or next(iter(saved.values()), None)


def turn_off(owner: Actor) -> None:
    Account.locked(owner.account_id)
    settings = AutoRecharge.of(owner.account_id)
    if settings is not None:
        settings.turn_off()
    commit()
