"""Packs: bought by checkout, credited once, at the worth of the moment they were begun."""

from tests.billing.till import Till


def test_a_pack_is_credited_when_it_is_paid(till: Till) -> None:
    till.buy_pack()
    assert till.credits == 5000
    assert till.kinds() == ["purchase"]
    assert till.is_explained()


def test_an_unpaid_checkout_gives_nothing(till: Till) -> None:
    till.buy_pack(card="decline")
    assert till.credits == 0
