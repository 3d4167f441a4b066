"""Packs that are bought, by hand and by auto-recharge, refunds and disputes of any payment."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from app.extensions import db
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.billing.payment import Payment
from app.models.billing.refund import follow_dispute, follow_refunds
from app.models.billing.stripe_objects import DisputeState, RefundState
from app.models.catalog.plan import CreditPack
from app.models.metering.refusal import Refusal
from app.payments import auto_recharge
from tests.histories.environment import Stage
from tests.histories.oracle import Charge, Recharging
from tests.support.people import CREDIT, actor, paid


class Purchases(Stage):
    """Money in, and money taken back."""

    @precondition(lambda self: self.clock is not None)
    @rule(quantity=st.integers(1, 3))
    def buy(self, quantity: int) -> None:
        account, pack = self.account, db.session.query(CreditPack).filter_by(price_cents=1000).one()
        if not self.book.offer.allows_packs:
            with pytest.raises(Refusal, match="packs_not_allowed"):
                Payment.begin(actor(account), account, pack.quote(quantity))
            return
        payment = Payment.begin(actor(account), account, pack.quote(quantity))
        result = paid(self.name("pi"), payment)
        assert [payment.succeed(account, result) for _ in range(2)] == [True, False]
        self.book.buy(result.stripe_id, quantity * 5000 * CREDIT, quantity * 1000)

    @precondition(lambda self: self.clock is not None and self.book.sales)
    @rule(which=st.integers(0, 99), part=st.sampled_from([1, 3, 7, 1000]))
    def refund(self, which: int, part: int) -> None:
        key = self.sold(which)
        sale = self.book.sales[key]
        rest = sale.price_cents - sale.refunded_cents
        if not rest:
            return
        cents = max(1, rest * part // 1000)
        self.refunds.setdefault(key, []).append(RefundState(self.name("re"), cents, "succeeded", self.now))
        self.book.refund(key, cents)
        self.follow_refunds(key)

    @precondition(lambda self: self.clock is not None and any(self.refunds.values()))
    @rule(which=st.integers(0, 99))
    def a_refund_fails(self, which: int) -> None:
        made = [(key, one) for key, every in sorted(self.refunds.items()) for one in every if not one.is_gone]
        if not made:
            return
        key, one = made[which % len(made)]
        gone = RefundState(one.stripe_id, one.amount_cents, "failed", one.created_at)
        self.refunds[key][self.refunds[key].index(one)] = gone
        self.book.refund(key, -one.amount_cents)
        self.follow_refunds(key)

    @precondition(lambda self: self.clock is not None and self.book.sales)
    @rule(which=st.integers(0, 99))
    def dispute(self, which: int) -> None:
        key = self.sold(which)
        if self.book.sales[key].is_disputed:
            return
        self.book.dispute(key)
        self.follow_dispute(key, "needs_response")

    @precondition(lambda self: self.clock is not None and self.book.is_frozen)
    @rule(ends_as=st.sampled_from(["won", "under_review", "won", "lost"]))
    def a_dispute_goes_on(self, ends_as: str) -> None:
        key = next(key for key, sale in sorted(self.book.sales.items()) if sale.is_disputed)
        if ends_as == "won":
            self.book.win(key)
        self.follow_dispute(key, ends_as)

    def sold(self, which: int) -> str:
        return sorted(self.book.sales)[which % len(self.book.sales)]

    def payment(self, key: str) -> Payment:
        result = Payment.by(stripe_payment_intent_id=key) or Payment.by(stripe_invoice_id=key)
        assert result is not None
        return result

    def follow_refunds(self, key: str) -> None:
        follow_refunds(self.payment(key), self.account, reversed(self.refunds[key]))

    def follow_dispute(self, key: str, status: str) -> None:
        account = self.account
        for _ in range(2):
            follow_dispute(self.payment(key), account, DisputeState(f"dp_{key}", status, key))


class Recharges(Stage):
    """The owner's switch, each look at it, and each end of an attempt."""

    @precondition(lambda self: self.clock is not None)
    @rule(threshold=st.sampled_from([0, 100, 6000]), most=st.sampled_from([1000, 2500]))
    def turn_recharge_on(self, threshold: int, most: int) -> None:
        pack = db.session.query(CreditPack).filter_by(price_cents=1000).one()
        rules = AutoRecharge.of(self.account_id) or AutoRecharge(account=self.account, pack=pack)
        rules.threshold_nanos, rules.monthly_max_cents, rules.card_id = threshold * CREDIT, most, "pm_1"
        db.session.add(rules)
        db.session.flush()
        rules.turn_on()
        self.book.recharging = Recharging(threshold * CREDIT, most, 1000)

    @precondition(lambda self: self.clock is not None and self.book.recharging is not None)
    @rule()
    def look_at_recharge(self) -> None:
        rules = self.book.recharging
        is_allowed = self.book.offer.allows_packs and not self.book.is_frozen
        is_due = self.book.open_charge() is None and is_allowed and self.book.is_charge_due(self.now)
        attempt = auto_recharge.next_attempt(AutoRecharge.of(self.account_id), self.account)
        assert (attempt is not None) == is_due
        rules.is_paused = rules.is_paused or not is_allowed
        if attempt is not None:
            self.attempts.append(attempt.id)
            self.book.charges.append(Charge(1000, self.now))

    @precondition(lambda self: self.clock is not None and self.book.open_charge() is not None)
    @rule(end=st.sampled_from(["paid", "paid", "declined", "authentication", "canceled"]))
    def a_charge_ends(self, end: str) -> None:
        attempt, rules = db.session.get_one(Recharge, self.attempts[-1]), AutoRecharge.of(self.account_id)
        charge = self.book.open_charge()
        assert charge is not None
        if end == "paid":
            result = paid(self.name("pi"), attempt.payment)
            assert attempt.succeed(self.account, result)
            rules.succeeded()
            self.book.buy(result.stripe_id, 5000 * CREDIT, 1000)
            self.book.recharging.declines, self.book.recharging.rests_until = 0, None
        elif end == "declined":
            attempt.decline("card_declined")
            rules.declined(self.now)
            self.book.decline(self.now)
        elif end == "canceled":
            attempt.cancel()
        else:
            attempt.ask_owner("pi_waits")
        charge.state, charge.ended = end, self.now
