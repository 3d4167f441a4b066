"""What a purchase is worth, by price, surcharge, margin and tax, in any currency. billing-rules.md 2, 10 to 12."""

from decimal import Decimal

from app.models.base import NANOS_PER_CENT, NANOS_PER_CREDIT, share
from app.models.catalog.currency import LEAST, decimals, step
from app.models.catalog.setting import Setting
from app.models.metering.refusal import PricingError

BPS = 10_000
HALF_A_DOLLAR = 50 * NANOS_PER_CENT
TAX_NOTES = {"exclusive": "plus tax", "inclusive": "including tax"}


def currency() -> str:
    """What the installation sells in."""
    return str(Setting.get("currency"))


def unit_nanos() -> int:
    """What the smallest unit of the currency stands for, in nano-dollars, at the rate of the settings: exact."""
    return int(Setting.get("currency_rate")) // 10 ** decimals(currency())


def in_cents(nanos: int) -> int:
    """Nano-dollars in the smallest unit of the currency, rounded half up."""
    return share(nanos, 1, unit_nanos())


def least_cents() -> int:
    """The least that a payment may be."""
    return LEAST.get(currency(), -(-HALF_A_DOLLAR // unit_nanos()))


def can_be_charged(cents: int) -> bool:
    """Whether Stripe takes such an amount: not too little, and in the currency's steps."""
    return cents >= least_cents() and cents % step(currency()) == 0


def amount_bounds() -> tuple[int, int]:
    """The least and the most that credits can be bought for, where any amount can be."""
    lowest, highest = Setting.get("any_amount_lowest"), Setting.get("any_amount_highest")
    return max(int(lowest), least_cents()), int(highest)


def about_a_dollar() -> int:
    """A round amount of the currency near a dollar, to compare what is sold by: $1, €1, ¥100; in the smallest unit."""
    units = 10 ** decimals(currency())
    while units * unit_nanos() < HALF_A_DOLLAR:
        units *= 10
    return units


def worth_of(price_cents: int, surcharge_cents: int, margin_bps: int) -> int:
    """Nano-dollars of model cost that a price buys: (price - surcharge) x rate x (1 - margin), half up to the nano.

    In dollars it is exact: a cent is 10,000,000 nanos. PricingError where a figure cannot be.
    """
    if price_cents < 0 or surcharge_cents < 0:
        raise PricingError("price and surcharge cannot be negative")
    if surcharge_cents > price_cents:
        raise PricingError(f"surcharge {surcharge_cents} is more than the price {price_cents} (cents)")
    if not 0 <= margin_bps < BPS:
        raise PricingError(f"margin {margin_bps} is not between 0 and 9,999 basis points")
    return share((price_cents - surcharge_cents) * unit_nanos(), BPS - margin_bps, BPS)


def credits_per_unit(nanos: int, cents: int) -> Decimal:
    """Credits for each whole unit of the currency: a dollar, a yen."""
    units = 10 ** decimals(currency())
    return Decimal(nanos * units) / (NANOS_PER_CREDIT * cents) if cents else Decimal(0)


def real_margin_bps(worth_nanos: int, net_cents: int, surcharge_cents: int = 0) -> int | None:
    """`1 - worth / (net - surcharge)` in basis points, rounded down; None where nothing is left to divide by."""
    base = (net_cents - surcharge_cents) * unit_nanos()
    return (base - worth_nanos) * BPS // base if base > 0 else None


def is_above_floor(worth_nanos: int, net_cents: int, surcharge_cents: int = 0) -> bool:
    """Whether such a sale leaves at least the floor of the settings; exact. What is worth nothing always does."""
    base, floor = (net_cents - surcharge_cents) * unit_nanos(), Setting.get("margin_floor")
    return worth_nanos <= 0 <= net_cents or (base > 0 and worth_nanos * BPS <= base * (BPS - floor))


def payment_fee(cents: int, payments: int, share_bps: int, fixed_cents: int) -> int:
    """What Stripe keeps of so many payments of so many cents together: a share, half up, and a fixed part of each."""
    return share(cents, share_bps, BPS) + payments * fixed_cents


def usual_payment_fee(cents: int, payments: int = 1) -> int:
    """The same as the settings have it."""
    return payment_fee(cents, payments, Setting.get("payment_fee"), int(Setting.get("payment_fee_cents")))


def tax_behavior() -> str | None:
    """How Stripe taxes a price: on top of it, or within it; None where no tax is collected."""
    return str(Setting.get("tax_behavior")) if Setting.get("automatic_tax") else None


def tax_note() -> str:
    """What stands beside every price."""
    return TAX_NOTES.get(tax_behavior() or "", "")


def without_tax(amount: int, paid: int, included: int) -> int:
    """What of an amount is left without the tax that is in what was paid; all of it where none is."""
    return share(amount, paid - included, paid) if 0 < included < paid else amount
