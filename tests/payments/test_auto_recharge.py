"""Auto-recharge: charges once where it may, never above its maximum, and rests where it cannot."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.jobs import commit
from app.models.base import utcnow
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.payments import auto_recharge, auto_recharge_settings, breaker, checkout, subscriptions
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")

Travel = Callable[[timedelta], None]


@pytest.fixture
def travel() -> "Travel":
    with time_machine.travel(utcnow(), tick=True) as traveller:
        yield traveller.shift


def states(scenario: StripeScenario) -> list[str]:
    return [one.state for one in scenario.recharges()]


def fail(scenario: StripeScenario, fault: str, count: int = 3) -> None:
    """Stripe takes so many charges in that way."""
    scenario.sandbox.control("faults", fault=fault, path="/v1/payment_intents", method="POST", count=count)


def test_a_low_balance_is_recharged_once_whatever_is_told_of_it(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(below=1000)
    scenario.work()
    assert (scenario.credits, states(scenario), scenario.kinds()) == (5000, ["paid"], ["recharge"])
    assert "recharge_done" in scenario.mails()
    scenario.deliver(times=2)
    scenario.work()
    assert (scenario.credits, states(scenario)) == (5000, ["paid"])
    assert scenario.is_explained()


def test_nothing_is_bought_while_spending_is_paused(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(below=1000)
    scenario.account.spending_paused_at = utcnow()
    db.session.commit()
    auto_recharge.recharge(scenario.account_id)
    assert (AutoRecharge.below_threshold(utcnow()), states(scenario)) == ([], [])
    breaker.resume(scenario.actor, "hour")
    auto_recharge.recharge(scenario.account_id)
    assert states(scenario) == ["paid"]


def test_an_open_attempt_forbids_another_and_keeps_its_price_and_worth(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge()
    fail(scenario, "error_before", 9)
    auto_recharge.recharge(scenario.account_id)
    auto_recharge.recharge(scenario.account_id)
    assert states(scenario) == ["open"]
    with pytest.raises(IntegrityError):
        Recharge.attempt(scenario.settings, scenario.account)
    db.session.rollback()
    scenario.pack().margin_bps = 9000
    db.session.commit()
    scenario.sandbox.control("faults", clear=True)
    auto_recharge.resolve(scenario.recharges()[0].id)
    assert (scenario.credits, states(scenario)) == (5000, ["paid"])


def test_the_monthly_maximum_is_never_passed_and_refunds_make_no_room(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(below=10**6, most=2500)
    for _ in range(3):
        scenario.work()
    assert (states(scenario), scenario.credits) == (["paid", "paid"], 10000)
    assert "recharge_limit" in scenario.mails()
    scenario.deliver()
    scenario.refund(scenario.last_payment("recharge"))
    scenario.turn_on_recharge(below=10**6, most=2500)
    scenario.work()
    assert (states(scenario), scenario.credits) == (["paid", "paid"], 5000)


def test_a_new_month_makes_room(scenario: StripeScenario) -> None:
    with time_machine.travel(datetime(2026, 1, 31, 23, 50, tzinfo=UTC)) as traveller:
        scenario.turn_on_recharge(below=10**6, most=1000)
        scenario.work()
        traveller.shift(timedelta(minutes=20))
        scenario.work()
    assert states(scenario) == ["paid", "paid"]


def test_an_attempt_open_over_the_months_edge_counts_in_both(scenario: StripeScenario) -> None:
    with time_machine.travel(datetime(2026, 1, 31, 23, 50, tzinfo=UTC)) as traveller:
        scenario.turn_on_recharge(below=10**6, most=1000)
        fail(scenario, "error_before")
        auto_recharge.recharge(scenario.account_id)
        traveller.shift(timedelta(minutes=20))
        for _ in range(3):
            scenario.work()
    assert states(scenario) == ["paid"]


def test_a_lost_answer_is_found_and_a_500_that_is_replayed_is_looked_up(scenario: StripeScenario) -> None:
    """Neither is paid twice."""
    scenario.turn_on_recharge()
    for fault, times, paid in (("drop_after", 3, 1), ("error_after", 1, 2)):
        fail(scenario, fault, times)
        auto_recharge.recharge(scenario.account_id)
        auto_recharge.resolve(scenario.recharges()[-1].id)
        scenario.deliver()
        assert (scenario.credits, states(scenario), scenario.charges()) == (5000, ["paid"] * paid, paid)
        scenario.spend(5000)


def turn_off(scenario: StripeScenario) -> None:
    auto_recharge_settings.turn_off(scenario.actor)


def allow_less(scenario: StripeScenario) -> None:
    AutoRecharge.of(scenario.account_id).monthly_max_cents = 999
    commit()


def buy_by_hand(scenario: StripeScenario) -> None:
    scenario.sandbox.control("faults", clear=True)
    scenario.buy_pack()


@pytest.mark.parametrize("change", [turn_off, allow_less, buy_by_hand])
def test_an_attempt_that_never_arrived_is_not_sent_again_where_it_may_not_be_made_now(
    scenario: StripeScenario, travel: Travel, change: Callable[[StripeScenario], None]
) -> None:
    scenario.turn_on_recharge()
    fail(scenario, "drop_before")
    auto_recharge.recharge(scenario.account_id)
    change(scenario)
    auto_recharge.resolve(scenario.recharges()[0].id)
    assert (states(scenario), scenario.charges()) == (["open"], 0)
    travel(timedelta(hours=24))
    auto_recharge.resolve(scenario.recharges()[0].id)
    assert (states(scenario), scenario.charges()) == (["canceled"], 0)


def test_a_key_that_stripe_forgot_is_not_used_again_and_what_was_paid_with_it_is_found(
    scenario: StripeScenario, travel: Travel
) -> None:
    scenario.turn_on_recharge()
    fail(scenario, "error_before")
    auto_recharge.recharge(scenario.account_id)
    travel(timedelta(hours=24))
    auto_recharge.resolve(scenario.recharges()[0].id)
    assert (states(scenario), scenario.charges()) == (["canceled"], 0)
    fail(scenario, "drop_after")
    auto_recharge.recharge(scenario.account_id)
    travel(timedelta(hours=24))
    auto_recharge.resolve(scenario.recharges()[1].id)
    assert (states(scenario), scenario.credits, scenario.charges()) == (["canceled", "paid"], 5000, 1)


def test_a_declined_card_waits_an_hour_then_six_and_rests_until_the_owner_saves(
    scenario: StripeScenario, travel: Travel
) -> None:
    scenario.turn_on_recharge(card="decline")
    scenario.work()
    for hours, attempts in ((1, 1), (6, 2)):
        travel(timedelta(hours=hours, minutes=-1))
        scenario.work()
        assert states(scenario) == ["declined"] * attempts
        travel(timedelta(minutes=2))
        scenario.work()
        assert states(scenario) == ["declined"] * (attempts + 1)
    scenario.deliver()
    assert "recharge_declined" in scenario.mails()
    assert (scenario.settings.pause_reason, scenario.mails().count("recharge_paused")) == ("declined", 1)
    travel(timedelta(hours=25))
    scenario.work()
    assert len(scenario.recharges()) == 3
    scenario.turn_on_recharge()
    assert scenario.settings.is_acting


def test_authentication_gives_a_link_and_credits_once_a_second_click_finds_it_paid(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(card="authentication_always")
    scenario.work()
    scenario.deliver()
    assert (states(scenario), scenario.credits) == (["authentication"], 0)
    assert "authentication_needed" in scenario.mails()
    bank = auto_recharge.confirm(scenario.recharges()[0], "http://127.0.0.1/back")
    scenario.sandbox.post(bank.removeprefix(scenario.sandbox.url), outcome="complete")
    assert auto_recharge.confirm(scenario.recharges()[0], "http://127.0.0.1/back") is None
    scenario.deliver(times=2)
    assert (states(scenario)[0], scenario.credits) == ("paid", 5000)


def test_without_a_card_it_waits_for_one_and_then_acts(scenario: StripeScenario) -> None:
    options = auto_recharge_settings.RechargeOptions(str(scenario.pack().id), 1, 10**9, 5000)
    assert scenario.pack().terms_locked_at is None
    saved = auto_recharge_settings.turn_on(scenario.actor, options)
    assert scenario.settings.pause_reason == "no_card"
    assert scenario.pack().terms_locked_at
    scenario.sandbox.pay(saved.setup_url.rsplit("/", 1)[1])
    scenario.deliver()
    assert scenario.credits == 5000


def test_a_card_saved_with_a_pack_needs_no_second_checkout(scenario: StripeScenario) -> None:
    pack = scenario.pack()
    page = checkout.buy_pack(scenario.actor, checkout.PackOrder(pack, saves_card=True))
    assert checkout.buy_pack(scenario.actor, checkout.PackOrder(pack)) != page
    scenario.sandbox.pay(page.rsplit("/", 1)[1])
    scenario.deliver()
    options = auto_recharge_settings.RechargeOptions(str(pack.id), 1, 6000 * CREDIT, 5000)
    assert auto_recharge_settings.turn_on(scenario.actor, options).setup_url is None
    scenario.work()
    scenario.deliver()
    assert (scenario.credits, scenario.settings.card_label) == (10_000, "Visa ending in 4242")


def test_a_subscription_that_ends_leaves_auto_recharge_on(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    scenario.turn_on_recharge(below=100)
    subscriptions.cancel(scenario.actor, at_once=True)
    scenario.deliver()
    assert scenario.settings.is_acting
