"""How many digits of an amount at Stripe are decimals, by currency. Source: docs.stripe.com/currencies (November 2026).

They are not CLDR's, which say how people write a currency: it gives ISK, RSD, ALL and seven others no decimals,
where Stripe takes hundredths. ISK and UGX have no decimals as people know them, and are hundredths in the API all the
same (the page's special cases; its list of zero-decimal currencies names UGX too).
"""

from __future__ import annotations

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF"}
    | {"VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def decimals(currency: str) -> int:
    """The decimals of an amount in that currency's smallest unit, as Stripe counts it: two but for those above."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2
