"""The currencies that can be sold in: digits, steps, least charges. Source: docs.stripe.com/currencies (November 2026).

The digits are not CLDR's, which say how people write a currency: it gives ISK, RSD, ALL and seven others no decimals,
where Stripe takes hundredths. ISK and UGX have no decimals as people know them, and are hundredths in the API all the
same, of which only whole hundreds can be charged (the page's special cases; its list of zero-decimal currencies names
UGX too). Of a currency with three decimals the last digit must be 0.
"""

from decimal import Decimal

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF"} | {"VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

WHOLE_HUNDREDS = frozenset({"ISK", "UGX"})
TWO_DECIMAL = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK
    DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS KHR KYD KZT LAK
    LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR
    RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS WST XCD YER
    ZAR ZMW
    """.split()  # noqa: SIM905 - a page of codes is read as one
)
CURRENCIES = tuple(sorted(code.lower() for code in ZERO_DECIMAL | TWO_DECIMAL | THREE_DECIMAL))
LEAST = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
"""The least that Stripe charges, in the smallest unit. Of others: what half a dollar comes to."""


def decimals(currency: str) -> int:
    """The decimals of an amount in that currency's smallest unit, as Stripe counts it: two but for those above."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def major(cents: int, currency: str) -> Decimal:
    """Cents as a decimal of the currency's unit; some currencies have no cents."""
    return Decimal(cents).scaleb(-decimals(currency))


def plain_amount(cents: int, currency: str) -> str:
    """An amount for programs and logs: 5.00 USD, 500 JPY."""
    return f"{major(cents, currency):f} {currency.upper()}"


def step(currency: str) -> int:
    """What every amount to be charged is a multiple of, in the smallest unit."""
    code = currency.upper()
    if code in WHOLE_HUNDREDS:
        return 100
    return 10 if code in THREE_DECIMAL else 1


def rounded_price(cents: int, currency: str) -> int:
    """A price to two figures, as one that can be charged: 3,000 of 3,046; never nothing of something."""
    unit = max(step(currency), 10 ** (len(str(cents)) - 2)) if cents > 0 else 1
    return max(unit, (cents + unit // 2) // unit * unit) if cents > 0 else 0
