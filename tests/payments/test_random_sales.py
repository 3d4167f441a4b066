"""Random codes, tiers, purchases, upgrades, refunds: credits are what the rule says, never sold below the floor."""

import random
from typing import Any

import pytest

from app.extensions import db
from app.models.base import share
from app.models.billing.currency_choice import choose_currency
from app.models.billing.payment import Payment
from app.models.catalog.pack_tier import fault_of
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.setting import Setting
from app.models.metering.refusal import InvalidRequest
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


class Sales:
    """`expected`: what the account's credits come to by the rule, reckoned beside the app; `unit`: a cent in nanos."""

    def __init__(self, scenario: StripeScenario, chance: random.Random, unit: int, cents: int) -> None:
        self.unit, self.cents = unit, cents
        self.scenario, self.chance, self.expected, self.refused = scenario, chance, 0, 0
        self.floor = chance.choice((0, 1000, 3000))
        Setting.put("margin_floor", self.floor)
        db.session.commit()
        Setting.forget()

    def make_tiers(self) -> None:
        pack = self.scenario.pack(self.cents)
        sizes = sorted(self.chance.sample(range(2, 30), self.chance.randint(0, 3)))
        pack.volume = [[size, self.chance.randint(0, 6000)] for size in sizes]
        pack.margin_bps = self.chance.randint(3000, 6000)
        if fault_of(pack):
            db.session.rollback()
        db.session.commit()

    def make_code(self, number: int) -> PromotionCode:
        kind = self.chance.choice(("discount", "discount", "bonus"))
        given: dict[str, Any] = {"percent_bps": self.chance.randint(1, 6000)}
        if kind == "discount" and self.chance.random() < 0.4:
            given = {"amount_cents": self.chance.randint(1, 90) * self.scenario.pack(self.cents).price_cents // 100}
        code = PromotionCode(code=f"CODE-{number}", kind=kind, **given)
        db.session.add(code)
        db.session.commit()
        return code

    def buy(self, number: int) -> None:
        code, quantity = self.make_code(number), self.chance.randint(1, 12)
        pack = self.scenario.pack(self.cents)
        asked = pack.price_cents * quantity
        worth = share(asked * self.unit, 10_000 - pack.margin_for(quantity), 10_000)
        off = by_percent(asked, code) if code.percent_bps else min(code.amount_cents or 0, asked)
        paid = asked - off if code.kind == "discount" else asked
        bonus = by_percent(worth, code) if code.kind == "bonus" else 0
        sells = is_charged(paid, pack.currency) and (worth + bonus) * 10_000 <= paid * self.unit * (10_000 - self.floor)
        try:
            payment = self.scenario.buy_pack(self.cents, quantity=quantity, code=code.code.lower())
        except InvalidRequest:
            assert not sells
            self.refused += 1
            return
        assert sells
        assert (payment.price_cents, payment.worth_nanos, payment.bonus_nanos) == (paid, worth + bonus, bonus)
        self.expected += worth + bonus
        self.refund(payment)

    def recharge_and_dispute(self) -> None:
        """The saved card pays a pack by itself; the payer's bank asks it back, whole."""
        scenario, before = self.scenario, self.scenario.account.credits_nanos
        whole = scenario.account.allowance_nanos + before
        scenario.turn_on_recharge(below=whole // CREDIT + 1, cents=self.cents, most=self.cents)
        scenario.work()
        scenario.deliver()
        payment = scenario.last(Payment)
        assert (payment.kind, payment.state, payment.price_cents) == ("recharge", "paid", self.cents)
        assert (
            scenario.account.credits_nanos
            == before + payment.worth_nanos
            == before + scenario.pack(self.cents).worth_nanos
        )
        scenario.dispute(payment)

    def refund(self, payment: Payment) -> None:
        """In one to three parts, or not at all."""
        taken, cents = 0, 0
        for _ in range(self.chance.randint(0, 3)):
            step = STEPS.get(payment.currency, 1)
            part = max(step, self.chance.randint(1, max(1, payment.price_cents // 3)) // step * step)
            self.scenario.refund(payment, part)
            cents += part
            due = share(payment.worth_nanos, cents, payment.price_cents)
            self.expected -= due - taken
            taken = due


def is_charged(cents: int, currency: str) -> bool:
    return cents % STEPS.get(currency, 1) == 0 and cents >= LEAST[currency]


def by_percent(amount: int, code: PromotionCode) -> int:
    return (2 * amount * (code.percent_bps or 0) + 10_000) // 20_000


CURRENCIES = (("usd", 10**9, 10_000_000), ("jpy", 6_565_123, 6_565_123), ("kwd", 3_251_807_000, 3_251_807))
"""Currency, what a unit of it is worth in nano-dollars, and what the smallest unit is."""
STEPS, LEAST = {"kwd": 10}, {"usd": 50, "jpy": 50, "kwd": 154}


@pytest.mark.parametrize(("seed", "currency"), [*enumerate(CURRENCIES)])
def test_credits_are_what_the_rule_says_and_never_below_the_floor(
    scenario: StripeScenario, seed: int, currency: tuple[str, int, int]
) -> None:
    chance = random.Random(seed)  # noqa: S311
    pack = scenario.pack()
    choose_currency(*currency[:2])
    sales = Sales(scenario, chance, currency[2], pack.price_cents)
    sales.make_tiers()
    db.session.add(PromotionCode(code="PLAN", kind="discount", percent_bps=1000, duration="forever"))
    db.session.commit()
    scenario.subscribe("Plus", code="PLAN")
    for number in range(4):
        sales.buy(number)
        if number == 1:
            scenario.change("Pro")
    sales.recharge_and_dispute()
    assert scenario.account.credits_nanos == sales.expected
    whole = scenario.plan("Pro").allowance_nanos
    assert whole - whole // 100 <= scenario.account.allowance_nanos <= whole
    assert 0 <= sales.refused < 4
    assert scenario.is_explained()
