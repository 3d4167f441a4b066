"""Amounts: how many digits a currency has, what Stripe refuses to charge, and how an amount is written."""

from sandbox.errors import invalid

ZERO_DECIMAL = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
WHOLE_HUNDREDS = {"isk", "ugx"}
LEAST = {"gbp": 30, "hkd": 400, "mxn": 1000, "sek": 300, "thb": 1000, "huf": 17500, "kwd": 150, "vnd": 12500}
"""Of some; of the others 50 of the smallest unit, which is what Stripe says of most."""


def digits(currency: str) -> int:
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def money(cents: int | None, currency: str = "usd") -> str:
    figure = f"{abs(cents or 0) / 10 ** digits(currency):,.{digits(currency)}f}"
    return ("-" if (cents or 0) < 0 else "") + (f"${figure}" if currency == "usd" else f"{figure} {currency.upper()}")


def check_step(amount: int, currency: str, param: str) -> None:
    """The special digits: the last one of three is 0, and a króna has no hundredths."""
    unit = 100 if currency in WHOLE_HUNDREDS else 10 if currency in THREE_DECIMAL else 1
    if amount % unit:
        raise invalid(f"Invalid amount: {amount} {currency} is no multiple of {unit}.", param, "invalid_charge_amount")


def check_chargeable(amount: int, currency: str, param: str = "amount") -> None:
    check_step(amount, currency, param)
    least = LEAST.get(currency, 50)
    if amount < least:
        raise invalid(f"Amount must be at least {money(least, currency)}", param, "amount_too_small")


def check_same(currencies: set[str]) -> str:
    """The one currency of what is sold together."""
    if len(currencies) > 1:
        raise invalid("The price specified only supports one currency. All prices must use the same.", "line_items")
    return currencies.pop()
