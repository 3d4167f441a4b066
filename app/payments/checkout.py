"""Buying credits: a hosted checkout for a pack, one that saves a card, the portal."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from app import mailer
from app.extensions import db
from app.jobs import commit, rollback
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import NotFound, PaymentsNotSetUp, Rejected, ServerError, UnknownOutcome
from app.models.catalog.currency import plain_amount, step
from app.models.catalog.offers import is_published
from app.models.catalog.pack_tier import MOST_PACKS
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.quote import Quote, check_packs_allowed
from app.models.catalog.worth import amount_bounds, can_be_charged, currency
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.refusal import Conflict, InvalidRequest
from app.payments import product_sync, promotion_codes, session_sync, stripe_account
from app.stripe_api import client, requests


def is_set_up() -> bool:
    """Whether there is a key to take payments with."""
    return client.is_set_up()


Begun = TypeVar("Begun")


def check_set_up() -> None:
    """Before ids of Stripe's are read: there is a key, and they are its account's. PaymentsNotSetUp."""
    if not is_set_up():
        raise PaymentsNotSetUp("no key for Stripe is in use")
    stripe_account.check()


def return_url() -> str:
    return mailer.link("billing.returned") + "?session_id={CHECKOUT_SESSION_ID}"


def cancel_url() -> str:
    return mailer.link("billing.overview")


def at_stripe(account_id: int, sold: Plan | CreditPack, begin: Callable[[bool], Begun]) -> Begun:
    """Begin a checkout, or come back to the same one that was begun before (`begin(False)`).

    Where Stripe refuses what it is told of, make anew what is gone there, and begin another one; so where it keeps an
    error of its own for the first.
    """
    try:
        return begin(False)
    except ServerError:
        rollback()
        return begin(True)
    except Rejected:
        rollback()
        product_sync.make_anew(sold)
        customer_id = customer_of(account_id)
        if not client.exists("customer", customer_id):
            Account.locked(account_id).lose_customer(customer_id)
        commit()
        return begin(True)


def open_again(session_id: str) -> str | None:
    """The address of a checkout that was begun before; None where it is over, and what came of it is applied.

    UnknownOutcome where Stripe fails to say: another one could be paid beside it.
    """
    try:
        session = client.session(session_id)
        if session.status == "open":
            return session.url
        session_sync.apply_session(session)
    except ServerError as error:
        raise UnknownOutcome(str(error)) from error
    commit()
    return None


def customer_of(account_id: int) -> str:
    """The account's customer at Stripe, made at the first purchase."""
    account = db.session.get_one(Account, account_id)
    if account.stripe_customer_id:
        return str(account.stripe_customer_id)
    try:
        made = requests.make_customer(account)
    except ServerError:
        Account.locked(account_id).customer_generation += 1
        commit()
        raise
    account = Account.locked(account_id)
    account.stripe_customer_id = account.stripe_customer_id or made
    db.session.commit()
    return str(account.stripe_customer_id)


def for_customer(account_id: int, ask: Callable[[str], Begun]) -> Begun:
    """What Stripe answers for the account's customer; for a new one where it was deleted and nobody has told us."""
    customer_id = customer_of(account_id)
    try:
        return ask(customer_id)
    except NotFound:
        Account.locked(account_id).lose_customer(customer_id)
        commit()
        return ask(customer_of(account_id))


def pack_on_sale(pack_id: str | int | None) -> CreditPack:
    pack = CreditPack.find(pack_id if pack_id is not None else "", status="active")
    if pack is None:
        raise InvalidRequest({"pack_id": ["isn't a pack you can buy now."]})
    return pack


@dataclass(frozen=True, slots=True)
class PackOrder:
    """What somebody wants to buy: so many of a pack, or an amount of one, with a code as it was typed."""

    pack: CreditPack
    quantity: int = 1
    code: str | None = None
    request_key: str | None = None
    amount_cents: int | None = None
    saves_card: bool = False

    def quote_for(self, account: Account) -> Quote:
        """What it costs and is worth now. WrongCode where that account may not use the code for it."""
        quote = replace(self.pack.quote(self.quantity, self.amount_cents), saves_card=self.saves_card)
        code = promotion_codes.code_for(account, self.code, quote)
        return quote.with_code(code) if code else quote


def buy_pack(buyer: Actor, order: PackOrder) -> str:
    """Begin a purchase; the address of the page that takes the money. Refusal where the plan forbids packs.

    The same purchase once more, by its request's key or while it is not paid, leads to the same page.
    """
    check_set_up()
    check_size(order)
    check_packs_allowed(buyer.account)
    return at_stripe(buyer.account_id, order.pack, partial(begin_purchase, buyer, order))


def check_size(order: PackOrder) -> None:
    """InvalidRequest where so many, or such an amount, cannot be bought."""
    if not 1 <= order.quantity <= (1 if order.pack.is_any_amount else MOST_PACKS):
        most = 1 if order.pack.is_any_amount else MOST_PACKS
        raise InvalidRequest({"quantity": [f"must be between 1 and {most}."]})
    if order.amount_cents is None:
        return
    if not order.pack.is_any_amount:
        raise InvalidRequest({"amount_cents": ["isn't for this pack, which has a price."]})
    lowest, highest = amount_bounds()
    if not lowest <= order.amount_cents <= highest:
        bounds = " and ".join(plain_amount(cents, currency()) for cents in (lowest, highest))
        raise InvalidRequest({"amount_cents": [f"must be between {bounds}."]})
    if not can_be_charged(order.amount_cents):
        least = plain_amount(step(currency()), currency())
        raise InvalidRequest({"amount_cents": [f"must be a multiple of {least}."]})


def begin_purchase(buyer: Actor, order: PackOrder, anew: bool) -> str:
    pack, quote = order.pack, order.quote_for(buyer.account)
    product_sync.publish(pack)
    customer = customer_of(buyer.account_id)
    promotion_codes.make_room(quote.code, buyer.account_id, quote.terms, anew=anew)
    account = Account.locked(buyer.account_id)
    quote = order.quote_for(account)
    known = None if anew else Payment.begun(account, quote, order.request_key)
    payment = known or begin_payment(buyer, account, quote, order)
    # The price that the page will ask for must be the one that was just fixed.
    if not is_published(pack):
        raise Conflict("price_changed", case="pack")
    commit()
    if payment.stripe_session_id:
        address = open_again(payment.stripe_session_id)
        if address or order.request_key:
            return address or cancel_url()
        return begin_purchase(buyer, order, True)
    session = requests.checkout_of_pack(payment, customer, return_url(), cancel_url())
    payment.stripe_session_id = session.stripe_id
    commit()
    return session.url or ""


def begin_payment(buyer: Actor, account: Account, quote: Quote, order: PackOrder) -> Payment:
    """A purchase on a locked account, with one of its code held for it."""
    payment = Payment.begin(buyer, account, quote, order.request_key)
    redemption = promotion_codes.hold(quote.code, account, buyer)
    payment.redemption_id = redemption.id if redemption else None
    return payment


def save_card(buyer: Actor) -> str:
    """The address of a page that saves a card and charges nothing."""
    check_set_up()

    def ask(customer: str) -> str:
        return requests.checkout_of_card(buyer.account, customer, return_url(), cancel_url()).url or ""

    return for_customer(buyer.account_id, ask)


def use_saved_card(account_id: int) -> None:
    """Make the card of auto-recharge the one that invoices are paid with."""
    settings, account = AutoRecharge.of(account_id), db.session.get_one(Account, account_id)
    if settings is not None and settings.card_id and account.stripe_customer_id:
        requests.use_card(account.stripe_customer_id, settings.card_id)


def open_portal(buyer: Actor) -> str:
    """The address of Stripe's own page for cards and invoices."""
    check_set_up()
    return for_customer(buyer.account_id, lambda customer: requests.portal(customer, cancel_url()))
