"""A promotional code in words: what it does to a price, on cards, packs and on the way to checkout."""

from dataclasses import dataclass

from app.models.base import credits_text
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.worth import tax_note
from app.web.formatting import counted, money_text, percent, price


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan or pack as it is sold with a code: what is paid, and the sentence about it."""

    code: str
    paid_cents: int
    text: str


def offer(code: PromotionCode | None, sold: Plan | CreditPack) -> Offer | None:
    """None where there is no code, or it is not for that."""
    if code is None or not code.sells(sold):
        return None
    paid = sold.asked_cents - code.discount_cents(sold.asked_cents)
    return Offer(code.code, paid, bonus_words(code, sold) if code.kind == "bonus" else paid_words(code, sold, paid))


def bonus_words(code: PromotionCode, sold: Plan | CreditPack) -> str:
    more = code.bonus_nanos(sold.period_nanos if isinstance(sold, Plan) else sold.worth_nanos)
    when = " with the first payment" if isinstance(sold, Plan) else ""
    return f"{code.code}: {percent(code.percent_bps or 0)} more, {credits_text(more)}{when}."


def paid_words(code: PromotionCode, sold: Plan | CreditPack, paid: int) -> str:
    full = price(sold.asked_cents, sold.currency)
    text = f"{code.code}: {price(paid, sold.currency)} instead of {full}"
    if not isinstance(sold, Plan):
        return f"{text}."
    span = {
        "once": "on the first invoice",
        "repeating": f"for {counted(code.months or 0, 'month')}",
        "forever": "for as long as you keep it",
    }
    return f"{text} {span[code.duration]}."


def discount_words(payment: Payment) -> str:
    """What came off a payment, and by which code: "$5.00 off with LAUNCH-25"; empty where nothing did."""
    if not payment.discount_cents:
        return ""
    redemption = payment.redemption or (payment.subscription and payment.subscription.redemption)
    code = f" with {redemption.code.code}" if redemption else ""
    return f"{money_text(payment.discount_cents, payment.currency)} off{code}"


def next_amount(subscription: Subscription, cents: int, plan: Plan | None = None) -> str:
    """What the next period costs, of that plan or of what follows, and what its invoice takes off or adds: "$20.00
    before your discount, plus tax"."""
    redemption, at = subscription.redemption, subscription.period_end
    sold = plan or subscription.pending_plan or subscription.plan
    is_reduced = redemption and at and redemption.reduces(at, is_first=subscription.paid_until is None)
    is_reduced = is_reduced and redemption.code.is_for(sold)
    amount = money_text(cents, subscription.currency) + (" before your discount" if is_reduced else "")
    return f"{amount}, {tax_note()}" if tax_note() else amount


FILTERS = {
    "offer_with": lambda sold, code: offer(code, sold),
    "discount_words": discount_words,
    "next_amount": next_amount,
}
