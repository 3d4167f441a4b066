"""Money is shown by the digits that Stripe counts in, not by those that CLDR writes."""

from fractions import Fraction

import pytest
from babel.numbers import get_currency_precision, list_currencies
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.models.catalog.currency import CURRENCIES, THREE_DECIMAL, ZERO_DECIMAL, decimals, major, step
from app.models.catalog.plan import CreditPack
from app.models.catalog.setting import Setting
from app.models.catalog.worth import (
    can_be_charged,
    in_cents,
    is_above_floor,
    least_cents,
    unit_nanos,
    worth_of,
)
from app.web.formatting import money_text, price
from app.web.numbers import exact

DIFFERENT = ("AFN", "ALL", "ISK", "LAK", "LBP", "MMK", "RSD", "SOS", "UGX", "YER")


@pytest.mark.parametrize(
    ("cents", "currency", "shown"),
    [
        (2000, "usd", "$20.00"),
        (-500, "usd", "-$5.00"),
        (123456789, "eur", "€1,234,567.89"),
        (2000, "jpy", "¥2,000"),
        (5120, "kwd", "KWD5.120"),
        (50000, "isk", "ISK500.00"),
        (150050, "rsd", "RSD1,500.50"),
        (150050, "all", "ALL1,500.50"),
    ],
)
def test_an_amount_is_shown_in_its_currencys_unit(cents: int, currency: str, shown: str) -> None:
    assert money_text(cents, currency).replace("\xa0", "") == shown


def test_a_price_tag_has_cents_only_where_there_are_some() -> None:
    assert [price(cents, "usd") for cents in (2000, 950, 0, 1_000_000)] == ["$20", "$9.50", "$0", "$10,000"]
    assert price(500, "jpy") == "¥500"


@pytest.mark.parametrize("currency", DIFFERENT)
def test_where_the_two_differ_stripes_digits_count(currency: str) -> None:
    assert (decimals(currency), get_currency_precision(currency)) == (2, 0)


@pytest.mark.parametrize("currency", sorted(ZERO_DECIMAL | THREE_DECIMAL))
def test_elsewhere_they_agree(currency: str) -> None:
    assert decimals(currency) == get_currency_precision(currency)


def test_every_currency_is_one_that_people_know() -> None:
    assert {code.upper() for code in CURRENCIES} - list_currencies() <= {"XCG"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    currency=st.sampled_from(CURRENCIES),
    rate=st.integers(10, 4_000_000),
    units=st.integers(1, 10**6),
    extra=st.floats(0, 1),
    margin=st.integers(0, 9_999),
)
def test_what_is_sold_in_any_currency_is_worth_what_the_rate_says(
    app: Flask, currency: str, rate: int, units: int, extra: float, margin: int
) -> None:
    unit = 10 ** decimals(currency)
    nanos, cents = rate * 1_000 // unit, units * step(currency)
    surcharge = int(cents * extra)
    with app.app_context():
        Setting.remember({"currency": currency, "currency_rate": str(nanos * unit)})
        worth = worth_of(cents, surcharge, margin)
        rule = Fraction((cents - surcharge) * nanos * (10_000 - margin), 10_000)
        assert unit_nanos() == nanos
        assert abs(worth - rule) <= Fraction(1, 2)
        assert is_above_floor(worth, cents, surcharge)
        assert abs(in_cents(worth) - Fraction(worth, nanos)) <= Fraction(1, 2)
        assert exact(f"{major(cents, currency):f}", unit) == cents
        pack = CreditPack(price_cents=cents, currency=currency, margin_bps=margin)
        least = pack.cents_for(worth)
        assert worth_of(least, 0, margin) >= worth > (worth_of(least - step(currency), 0, margin) if least else -1)
        assert can_be_charged(least) or least < least_cents()


@pytest.mark.parametrize(
    ("currency", "rate", "cents", "credits"),
    [
        ("jpy", 6_600_000, 3000, 9_900),
        ("eur", 1_080_000_000, 1800, 9_720),
        ("kwd", 3_250_000_000, 5000, 8_125),
    ],
)
def test_the_examples_of_the_rules(app: Flask, currency: str, rate: int, cents: int, credits: int) -> None:
    with app.app_context():
        Setting.remember({"currency": currency, "currency_rate": str(rate)})
        assert worth_of(cents, 0, 5000) == credits * 10**6
