"""What Stripe tells of a subscription becomes: invoices in the order of their payment, trials, a year by the month."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import g
from sqlalchemy.orm import Session, scoped_session

from app.extensions import db
from app.models.entitlement import follow
from app.models.payment import Payment
from app.models.plan import Plan
from app.models.refill import refill_if_due
from app.models.stripe_state import (
    CardState,
    DisputeState,
    InvoiceState,
    LineState,
    Mismatch,
    RefundState,
    SubscriptionState,
)
from app.models.subscription import Subscription
from app.models.taking_back import follow_dispute, follow_refunds
from tests.support.people import CREDIT, caller, give, person

BEGIN = datetime(2026, 1, 10, 12, tzinfo=UTC)


def month(number: int) -> datetime:
    return BEGIN.replace(month=1 + number)


@pytest.fixture(autouse=True)
def in_january() -> Iterator[None]:
    with time_machine.travel(BEGIN, tick=False):
        yield


class Deal:
    """ada's subscription to `plan`, and what Stripe says of it."""

    def __init__(self, plan: str, trial_days: int = 0) -> None:
        for one in db.session.query(Plan):
            one.stripe_price_id = f"price_{one.name}"
        self.plan = db.session.query(Plan).filter_by(name=plan).one()
        self.account = person("ada")
        self.account.stripe_customer_id = "cus_1"
        db.session.flush()
        self.subscription = Subscription.begin(
            caller(self.account), self.account, self.plan, trial_days=trial_days
        )
        self.state = SubscriptionState(
            "sub_1", "active", "cus_1", "si_1", f"price_{plan}", month(0), month(1)
        )

    def invoice(
        self, number: int, paid_at: datetime, created_at: datetime, end: datetime | None = None
    ) -> InvoiceState:
        """Of the period that begins in that month."""
        start, cents = month(number), self.plan.price_cents
        line = LineState(self.state.price_id, cents, False, start, end or month(number + 1))
        key = f"in_{number}"
        return InvoiceState(
            key, "sub_1", "", "paid", cents, cents, "usd", created_at, paid_at, f"pi_{key}", lines=(line,)
        )

    def follow(self, *invoices: InvoiceState, **state: object) -> None:
        self.state = replace(self.state, **state)
        follow(self.subscription, self.account, self.state, invoices)
        db.session.flush()

    @property
    def allowance(self) -> int:
        return self.account.allowance_nanos // CREDIT


@pytest.fixture
def deal(session: "scoped_session[Session]") -> Deal:
    return Deal("Plus")


def test_invoices_count_in_the_order_in_which_they_were_paid(deal: Deal) -> None:
    late = deal.invoice(1, month(2) + timedelta(days=3), month(1))
    deal.follow(deal.invoice(0, month(0), month(0)), late, deal.invoice(2, month(2), month(2)))
    assert deal.allowance == 20_000


def test_a_trial_is_as_long_as_it_was_sold(session: "scoped_session[Session]") -> None:
    deal = Deal("Plus", trial_days=6)
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 2_000


def test_a_trial_that_began_at_stripe_is_as_long_as_stripe_says(deal: Deal) -> None:
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 5_000


def test_an_upgrade_in_the_trial_leaves_used_what_was_used(session: "scoped_session[Session]") -> None:
    deal = Deal("Plus", trial_days=15)
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.account.allowance_nanos -= 3_000 * CREDIT
    deal.follow(**trial, price_id="price_Pro")
    pro = deal.subscription.plan.allowance_nanos // CREDIT
    assert (pro > 10_000, deal.allowance) == (True, pro // 2 - 3_000)


def test_a_refund_of_a_year_takes_its_share_of_the_months_that_were_given(
    session: "scoped_session[Session]",
) -> None:
    deal = Deal("Plus, by the year")
    deal.follow(
        deal.invoice(0, BEGIN, BEGIN, end=BEGIN.replace(year=2027)), period_end=BEGIN.replace(year=2027)
    )
    refill_if_due(deal.account, month(1))
    refill_if_due(deal.account, month(2))
    year = Payment.last_period_of(deal.subscription.id)
    assert year.worth_nanos == 3 * deal.plan.allowance_nanos
    follow_refunds(year, deal.account, [RefundState("re_1", year.price_cents // 2, "succeeded", month(2))])
    assert year.refund_taken_nanos == 3 * deal.plan.allowance_nanos // 2


def test_an_invoice_counts_once_it_is_paid_and_only_for_what_it_sells(deal: Deal) -> None:
    first = deal.invoice(0, month(0), month(0))
    free = replace(first, lines=(replace(first.lines[0], amount=0),))
    for not_yet in (replace(first, status="open"), free):
        deal.follow(not_yet)
        assert (deal.allowance, deal.account.entries()) == (0, [])
    deal.follow(first)
    deal.follow(first)
    assert deal.allowance == 10_000


@pytest.mark.parametrize("back", ["refunded", "disputed"])
def test_a_year_that_was_paid_back_gives_no_more_months(
    session: "scoped_session[Session]", back: str
) -> None:
    deal = Deal("Plus, by the year")
    deal.follow(
        deal.invoice(0, BEGIN, BEGIN, end=BEGIN.replace(year=2027)), period_end=BEGIN.replace(year=2027)
    )
    year = Payment.last_period_of(deal.subscription.id)
    if back == "refunded":
        follow_refunds(year, deal.account, [RefundState("re_1", year.price_cents, "succeeded", month(0))])
    else:
        follow_dispute(year, deal.account, DisputeState("dp_1", "needs_response", "pi_in_0"))
    refill_if_due(deal.account, month(1))
    assert (deal.account.allowance_nanos, deal.account.credits_nanos) == (0, 0)


def test_once_a_paid_year_is_over_the_next_invoice_is_waited_for(session: "scoped_session[Session]") -> None:
    deal, end = Deal("Plus, by the year"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    refill_if_due(deal.account, end - timedelta(seconds=1))
    months = len(deal.account.entries())
    refill_if_due(deal.account, end)
    assert (months, len(deal.account.entries())) == (2, 2)


def test_a_card_gives_one_trial_and_so_does_an_account(session: "scoped_session[Session]") -> None:
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    card = CardState("pm_1", "Visa 4242", "fp_1")
    first = Deal("Plus")
    first.follow(**trial, card=card)
    first.follow(**trial, card=card)
    assert (first.allowance, first.subscription.trial_refused_at) == (5_000, None)
    account = person("bob")
    account.stripe_customer_id = "cus_2"
    second = Subscription.begin(caller(account), account, first.plan)
    follow(second, account, replace(first.state, stripe_id="sub_2", customer_id="cus_2"), ())
    assert (account.allowance_nanos, second.trial_refused_at) == (0, BEGIN)


def test_a_team_has_no_trial(session: "scoped_session[Session]") -> None:
    deal = Deal("Plus")
    deal.account.kind = "team"
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert (deal.allowance, deal.subscription.trial_refused_at) == (0, BEGIN)


def test_an_upgrade_grows_by_the_part_of_the_period_that_is_left(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.account.allowance_nanos -= 4_000 * CREDIT
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    moment = BEGIN + (month(1) - BEGIN) * 3 / 4
    line = LineState("price_Pro", 700, True, moment, month(1))
    growth = replace(
        deal.invoice(0, moment, moment), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,)
    )
    deal.follow(deal.invoice(0, month(0), month(0)), growth, price_id="price_Pro")
    more = (pro.allowance_nanos // CREDIT - 10_000) // 4
    assert (deal.subscription.plan, deal.allowance) == (pro, 6_000 + more)
    paid = db.session.query(Payment).filter_by(stripe_invoice_id="in_up").one()
    assert (paid.worth_nanos, deal.subscription.allowance_nanos) == (more * CREDIT, pro.allowance_nanos)


def test_rights_end_with_the_subscription_and_what_was_bought_stays(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.account.credits_nanos = 7 * CREDIT
    deal.follow(status="canceled")
    deal.follow(status="canceled")
    kinds = [entry.kind for entry in deal.account.entries()]
    assert kinds == ["allowance_ended", "refill"]
    assert (deal.account.plan.name, deal.allowance, deal.account.credits_nanos) == ("Free", 0, 7 * CREDIT)


def test_an_invoice_that_is_paid_after_the_end_becomes_credits(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(deal.invoice(0, month(0), month(0)), status="canceled", ended_at=month(1))
    on_time, late = month(1), month(1) + timedelta(seconds=1)
    deal.follow(deal.invoice(0, month(0), month(0)), deal.invoice(1, late, month(1)))
    assert deal.account.credits_nanos == 10_000 * CREDIT
    deal.follow(replace(deal.invoice(2, on_time, month(1)), stripe_id="in_on_time"))
    assert deal.account.credits_nanos == 10_000 * CREDIT


@pytest.mark.parametrize(
    ("invoice", "line"), [({"currency": "eur"}, {}), ({}, {"amount": 1999}), ({}, {"price_id": None})]
)
def test_a_line_of_another_sum_or_currency_is_a_mismatch(
    deal: Deal, invoice: dict[str, object], line: dict[str, object]
) -> None:
    sold = deal.invoice(0, month(0), month(0))
    with pytest.raises(Mismatch):
        deal.follow(replace(sold, lines=(replace(sold.lines[0], **line),), **invoice))
    assert deal.allowance == 0


def test_what_is_heard_of_only_after_its_end_leaves_nothing(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)), status="canceled", ended_at=month(1))
    assert [entry.kind for entry in deal.account.entries()] == ["allowance_ended", "refill"]
    assert (deal.allowance, deal.account.plan.name) == (0, "Free")


def test_a_trial_that_is_heard_of_only_after_its_end_leaves_nothing(deal: Deal) -> None:
    deal.follow(status="canceled", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15), ended_at=BEGIN)
    kinds = [entry.kind for entry in deal.account.entries()]
    assert kinds[-2:] == ["allowance_ended", "trial"]
    assert deal.account.plan.name == "Free"


def test_a_change_before_anything_was_paid_is_a_mismatch(deal: Deal) -> None:
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    with pytest.raises(Mismatch, match="first period"):
        deal.follow(replace(deal.invoice(0, BEGIN, BEGIN), lines=(line,)), price_id="price_Pro")


def test_an_upgrade_of_a_year_grows_by_the_rest_of_its_month(session: "scoped_session[Session]") -> None:
    larger = Plan(
        name="Pro, by the year", interval="year", price_cents=60_000, set_allowance_nanos=31_000 * CREDIT
    )
    db.session.add(larger)
    deal, end = Deal("Plus, by the year"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    before = deal.plan.allowance_nanos
    moment = month(2) + (month(3) - month(2)) / 4
    line = LineState("price_Pro, by the year", 9_000, True, moment, end)
    growth = replace(
        deal.invoice(0, moment, moment), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,)
    )
    deal.follow(growth, price_id="price_Pro, by the year")
    paid = db.session.query(Payment).filter_by(stripe_invoice_id="in_up").one()
    assert paid.worth_nanos == (31_000 * CREDIT - before) * 3 // 4


def test_a_year_that_is_paid_after_the_end_is_credited_whole(session: "scoped_session[Session]") -> None:
    deal, end = Deal("Plus, by the year"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    deal.follow(status="canceled", ended_at=month(1))
    deal.follow(deal.invoice(1, month(2), month(1), end=end))
    assert deal.account.credits_nanos == deal.plan.worth_nanos


def test_a_growth_that_is_paid_after_the_end_is_credited_by_its_price(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="canceled", ended_at=month(1))
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    deal.follow(replace(deal.invoice(1, month(2), month(0)), paid_cents=700, lines=(line,)))
    assert deal.account.credits_nanos == pro.allowance_nanos * 700 // pro.price_cents


def test_an_upgrade_to_a_smaller_allowance_gives_nothing(deal: Deal) -> None:
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    pro.set_allowance_nanos = 9_000 * CREDIT
    deal.follow(deal.invoice(0, month(0), month(0)))
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    growth = replace(
        deal.invoice(0, BEGIN, BEGIN), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,)
    )
    deal.follow(growth, price_id="price_Pro")
    assert (deal.account.allowance_nanos, deal.subscription.allowance_nanos) == (
        10_000 * CREDIT,
        10_000 * CREDIT,
    )


def test_a_trial_takes_the_place_of_the_free_allowance(deal: Deal) -> None:
    deal.account.allowance_nanos = 400 * CREDIT
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 5_000


def test_an_account_has_one_trial_ever(deal: Deal) -> None:
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.follow(status="canceled", ended_at=BEGIN)
    again = Subscription.begin(caller(deal.account), deal.account, deal.plan, trial_days=15)
    follow(again, deal.account, replace(deal.state, stripe_id="sub_2", status="trialing", ended_at=None), ())
    assert (deal.allowance, again.trial_refused_at) == (500, BEGIN)


def test_of_two_subscriptions_the_second_is_not_wanted(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    second = Subscription.begin(caller(deal.account), deal.account, deal.plan)
    follow(second, deal.account, replace(deal.state, stripe_id="sub_2"), ())
    deal.follow()
    assert (second.rejected_for != "", deal.subscription.rejected_for, deal.allowance) == (True, "", 10_000)


def test_the_payment_of_an_invoice_is_noted_when_it_is_heard_of(deal: Deal) -> None:
    sold = deal.invoice(0, month(0), month(0))
    noted = []
    for intent in (None, "pi_1", "pi_2"):
        deal.follow(replace(sold, payment_intent_id=intent))
        noted.append(Payment.with_invoice("in_0").stripe_payment_intent_id)
    assert noted == [None, "pi_1", "pi_1"]


def test_months_of_a_year_begin_on_the_years_day_and_others_on_the_accounts(
    session: "scoped_session[Session]",
) -> None:
    with time_machine.travel(BEGIN - timedelta(days=5), tick=False):
        deal = Deal("Plus, by the year")
    born, end = deal.account.created_at, BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    assert (deal.account.anchor_at, deal.account.period_end) == (BEGIN, month(1))
    deal.follow(status="canceled", ended_at=BEGIN)
    assert deal.account.anchor_at == born


def test_what_ended_takes_nothing_of_the_next_months(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="canceled", ended_at=BEGIN)
    refill_if_due(deal.account, month(1))
    assert deal.allowance == 500
    deal.follow()
    assert deal.allowance == 500


def test_a_paid_years_months_do_not_wait_for_the_address(
    session: "scoped_session[Session]", monkeypatch: pytest.MonkeyPatch
) -> None:
    deal, end = Deal("Plus, by the year"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "1")
    g.pop("settings", None)
    deal.account.owner.email_verified_at = None
    refill_if_due(deal.account, month(1))
    assert len(deal.account.entries()) == 2


def test_a_trial_repays_a_debt_and_does_not_mind_what_was_granted(deal: Deal) -> None:
    give(deal.account, credits=-1_000 * CREDIT)
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert (deal.allowance, deal.account.credits_nanos) == (4_000, 0)


def test_a_trial_goes_on_while_its_plan_is_retired(deal: Deal) -> None:
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    deal.plan.status = "inactive"
    deal.follow()
    assert (deal.subscription.rejected_for, deal.allowance) == ("", 5_000)


def test_a_subscription_whose_plan_was_retired_before_it_began_is_not_wanted(deal: Deal) -> None:
    deal.plan.status = "inactive"
    deal.follow(deal.invoice(0, month(0), month(0)))
    assert (deal.subscription.rejected_for != "", deal.allowance) == (True, 0)


def test_an_upgrade_at_the_periods_end_gives_nothing_of_it(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    line = LineState("price_Pro", 700, True, month(1), month(2))
    growth = replace(
        deal.invoice(0, BEGIN, BEGIN), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,)
    )
    deal.follow(growth, price_id="price_Pro")
    assert deal.account.allowance_nanos == 10_000 * CREDIT


def test_a_second_subscription_that_is_not_wanted_begins_no_trial(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    second = Subscription.begin(caller(deal.account), deal.account, deal.plan, trial_days=15)
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    follow(second, deal.account, replace(deal.state, stripe_id="sub_2", **trial), ())
    assert (second.rejected_for != "", second.trial_granted_nanos, deal.allowance) == (True, 0, 10_000)
