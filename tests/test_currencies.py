"""Money is shown by the digits that Stripe counts in, not by those that CLDR writes."""

import pytest
from babel.numbers import get_currency_precision

from app.models.catalog.currency import THREE_DECIMAL, ZERO_DECIMAL, decimals
from app.web.formatting import dollars, price

DIFFERENT = ("AFN", "ALL", "ISK", "LAK", "LBP", "MMK", "RSD", "SOS", "UGX", "YER")


@pytest.mark.parametrize(
    ("cents", "currency", "shown"),
    [
        (2000, "usd", "$20.00"),
        (-500, "usd", "-$5.00"),
        (123456789, "eur", "€1,234,567.89"),
        (500, "jpy", "¥500"),
        (5120, "kwd", "KWD5.120"),
        (50000, "isk", "ISK500.00"),
        (150050, "rsd", "RSD1,500.50"),
        (150050, "all", "ALL1,500.50"),
    ],
)
def test_an_amount_is_shown_in_its_currencys_unit(cents: int, currency: str, shown: str) -> None:
    assert dollars(cents, currency).replace("\xa0", "") == shown


def test_a_price_tag_has_cents_only_where_there_are_some() -> None:
    assert (price(2000, "usd"), price(950, "usd"), price(500, "jpy")) == ("$20", "$9.50", "¥500")


@pytest.mark.parametrize("currency", DIFFERENT)
def test_where_the_two_differ_stripes_digits_count(currency: str) -> None:
    assert (decimals(currency), get_currency_precision(currency)) == (2, 0)


@pytest.mark.parametrize("currency", sorted(ZERO_DECIMAL | THREE_DECIMAL))
def test_elsewhere_they_agree(currency: str) -> None:
    assert decimals(currency) == get_currency_precision(currency)
