"""Uses promotional codes: who may use which for what, holds for checkouts, gifts. billing-rules.md 10."""

import logging
from contextlib import suppress

from sqlalchemy import select

from app.extensions import db
from app.jobs import commit, rollback
from app.models.base import utcnow
from app.models.billing.payment import CHECKOUT_LIFETIME, Payment
from app.models.billing.payment_errors import Mismatch, NotFound, Rejected
from app.models.billing.redemption import Redemption, give_gift
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.quote import Quote
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.user import User
from app.models.metering.refusal import InvalidRequest
from app.payments import product_sync, session_sync
from app.stripe_api import client
from app.stripe_api import promotion_codes as at_stripe

log = logging.getLogger(__name__)
SENTENCE = "can't be used here. Check how it's written, or continue without it."
"""For a code that is unknown, used up or for something else: which of them, nobody is told."""


class WrongCode(InvalidRequest):
    """The code cannot be used, for whatever reason."""

    def __init__(self) -> None:
        super().__init__({"code": [SENTENCE]})


def open_code(typed: str | None) -> PromotionCode:
    """The code as it was typed, where it can be redeemed at all. WrongCode."""
    code = PromotionCode.named(typed)
    if code is None or not code.is_open(utcnow()):
        raise WrongCode
    return code


def usable(typed: str | None, account: Account | None) -> PromotionCode:
    """A discount or a bonus that this account, or a visitor, may use for something. WrongCode."""
    code = open_or_held(typed, account)
    if not code.sold_with() or (account is not None and not may_redeem(account, code)):
        raise WrongCode
    return code


def code_for(account: Account | None, typed: str | None, sold: Plan | Quote) -> PromotionCode | None:
    """The code for a plan or a purchase, where that account may use it; None where none was typed. WrongCode."""
    if not (typed or "").strip():
        return None
    code = open_or_held(typed, account)
    sells = code.sells(sold) if isinstance(sold, Plan) else code.sells_quote(sold)
    if not sells or (account is not None and not may_redeem(account, code)):
        raise WrongCode
    return code


def open_or_held(typed: str | None, account: Account | None) -> PromotionCode:
    """One that the account holds for its open checkout is still its own, though it was the last."""
    code = PromotionCode.named(typed)
    if code is not None and account is not None and code.is_active and Redemption.held_by(code, account.id):
        return code
    return open_code(typed)


def may_redeem(account: Account, code: PromotionCode) -> bool:
    """Whether an account has not had it, and buys for the first time where it is for that."""
    if code.once_per_account:
        had = Redemption.code_id == code.id, Redemption.account_id == account.id, Redemption.state == "used"
        if db.session.scalar(select(Redemption.id).where(*had).limit(1)) is not None:
            return False
    return not code.first_purchase_only or is_first_purchase(account, code)


def is_first_purchase(account: Account, code: PromotionCode) -> bool:
    bought = Payment.account_id == account.id, Payment.state == "paid"
    if db.session.scalar(select(Payment.id).where(*bought).limit(1)) is not None:
        return False
    return not Redemption.has_first_purchase(account.id, besides=code)


def hold(code: PromotionCode | None, account: Account, buyer: Actor, *, bonus: int = 0) -> Redemption | None:
    """One of the code for a checkout that begins on a locked account. WrongCode where none is left."""
    if code is None:
        return None
    redemption = Redemption.hold(code, account, buyer.user_id)
    if redemption is None:
        raise WrongCode
    redemption.bonus_nanos = bonus
    return redemption


def make_room(code: PromotionCode | None, account_id: int, terms: tuple[object, ...], *, anew: bool = False) -> None:
    """Have the code at Stripe, and free of the account's other open checkout with it. WrongCode where that was paid.

    The checkout of the same purchase, by its terms, is gone on with, unless it is to begin `anew`.
    """
    if code is None:
        return
    publish(code)
    held = Redemption.held_by(code, account_id)
    purchase = purchase_of(held) if held else None
    if held is None or (purchase is not None and purchase.terms == terms and not anew):
        return
    if purchase is not None and purchase.stripe_session_id:
        end_checkout(purchase.stripe_session_id)
    elif not anew and utcnow() - held.created_at < client.REQUEST_LIFETIME:
        raise WrongCode
    Account.locked(account_id)
    db.session.refresh(held)
    end_purchase(held)
    commit()


def end_checkout(session_id: str) -> None:
    """Close a checkout at Stripe; what was paid in it meanwhile is applied."""
    with suppress(Rejected):
        at_stripe.expire_session(session_id)
    session = client.session(session_id)
    if session.status != "expired":
        session_sync.apply_session(session)
        commit()
        raise WrongCode


def purchase_of(redemption: Redemption) -> Payment | Subscription | None:
    """What was to be bought with it."""
    payment = db.session.scalar(select(Payment).where(Payment.redemption_id == redemption.id))
    begun = select(Subscription).where(Subscription.redemption_id == redemption.id)
    return payment or db.session.scalar(begun)


def end_purchase(redemption: Redemption) -> None:
    """Nothing comes of the checkout of a locked account."""
    purchase = purchase_of(redemption)
    if isinstance(purchase, Payment):
        purchase.fall_through()
    redemption.release()


def release_stale() -> None:
    """Checkouts that are over, and of whose end nobody heard."""
    for redemption_id in Redemption.all_held(utcnow() - CHECKOUT_LIFETIME - client.CLOCK_SKEW):
        try:
            release_checkout(db.session.get_one(Redemption, redemption_id))
        except (Mismatch, Rejected) as error:
            rollback()
            log.warning("a code stays with its checkout: %s", error, extra={"redemption": redemption_id})


def release_checkout(redemption: Redemption) -> None:
    purchase = purchase_of(redemption)
    session_id = purchase.stripe_session_id if purchase else None
    if session_id is None or is_forgotten(session_id):
        Account.locked(redemption.account_id)
        db.session.refresh(redemption)
        end_purchase(redemption)
    commit()


def is_forgotten(session_id: str) -> bool:
    """Apply what came of a checkout; whether Stripe knows nothing of it anymore."""
    try:
        session_sync.sync_session(session_id)
        commit()
    except NotFound:
        rollback()
        return True
    return False


def redeem_gift(member: Actor, typed: str | None) -> PromotionCode:
    """Credit a gift to the account that the member acts on. WrongCode, also where the address is not confirmed."""
    code = open_code(typed)
    account = Account.locked(member.account_id)
    user = db.session.get_one(User, member.user_id)
    if code.kind != "gift" or not user.is_verified or not may_redeem(account, code):
        raise WrongCode
    if give_gift(code, account, user) is None:
        raise WrongCode
    commit()
    return code


def unpublished() -> list[int]:
    """Discounts that Stripe does not know as they are now, retired ones included."""
    codes = db.session.scalars(select(PromotionCode).where(PromotionCode.kind == "discount"))
    return [code.id for code in codes if code.published_digest != code.listing() and code.is_wanted]


def publish_one(code_id: int) -> None:
    """A code by its id, once payments are set up, with what it is for."""
    code = db.session.get(PromotionCode, code_id)
    if code is None or not client.is_set_up():
        return
    for sold in code.products():
        product_sync.publish(sold)
    publish(code)


def publish(code: PromotionCode) -> None:
    """Tell Stripe of a discount as it is now, where it does not know: a coupon, and the code that is typed."""
    mark = code.listing()
    if code.kind != "discount" or code.published_digest == mark:
        return
    if code.stripe_promotion_code_id:
        at_stripe.retire(code.stripe_promotion_code_id)
    coupon_id = promotion_id = None
    products = [sold.stripe_product_id for sold in code.products() if sold.stripe_product_id]
    if code.is_active and products:
        coupon_id = at_stripe.make_coupon(code, products, mark)
        promotion_id = at_stripe.make_promotion_code(code, coupon_id, mark)
    db.session.refresh(code, with_for_update=True)
    if code.stripe_coupon_id not in (None, coupon_id):
        code.former_coupon_ids = [*code.former_coupon_ids, code.stripe_coupon_id or ""]
    code.stripe_coupon_id, code.stripe_promotion_code_id = coupon_id, promotion_id
    code.published_digest = mark
    db.session.commit()
