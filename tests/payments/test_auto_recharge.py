"""Auto-recharge: charges once where it may, never above its maximum, and rests where it cannot."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy.exc import IntegrityError

from app.payments import checkout
from app.payments import auto_recharge
from app.payments import auto_recharge_settings
from app.payments import subscriptions
from app.extensions import db
from app.models.base import utcnow
from app.models.billing.auto_recharge import Recharge
from app.models.metering.refusal import InvalidRequest, Refusal
from tests.payments.stripe_scenario import Till

pytestmark = pytest.mark.databases("sqlite", "postgresql")

Travel = Callable[[timedelta], None]


@pytest.fixture
def travel() -> "Travel":
    with time_machine.travel(utcnow(), tick=True) as traveller:
        yield traveller.shift


def states(till: Till) -> list[str]:
    return [one.state for one in till.recharges()]


def test_a_low_balance_is_recharged(till: Till) -> None:
    till.turn_on_recharge(below=1000)
    till.work()
    assert (till.credits, states(till), till.kinds()) == (5000, ["paid"], ["recharge"])
    assert "recharge_done" in till.mails()
    assert till.is_explained()


def test_webhooks_of_a_recharge_change_nothing_more(till: Till) -> None:
    till.turn_on_recharge()
    auto_recharge.recharge(till.account_id)
    till.deliver(times=3)
    assert till.credits == 5000


def test_a_balance_above_the_threshold_is_left_alone(till: Till) -> None:
    till.buy_pack()
    till.turn_on_recharge(below=1000)
    till.work()
    assert states(till) == []


def test_an_open_attempt_forbids_another(till: Till) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="error_before", path="/v1/payment_intents", method="POST", count=9)
    auto_recharge.recharge(till.account_id)
    auto_recharge.recharge(till.account_id)
    assert states(till) == ["open"]


def test_the_monthly_maximum_is_never_passed(till: Till) -> None:
    till.turn_on_recharge(below=10**6, most=2500)
    for _ in range(5):
        till.work()
    assert (states(till), till.credits) == (["paid", "paid"], 10000)
    assert "recharge_limit" in till.mails()


def test_refunds_do_not_make_room_in_the_month(till: Till) -> None:
    till.turn_on_recharge(below=10**6, most=1000)
    till.work()
    till.deliver()
    till.refund(till.last_payment("recharge"))
    till.turn_on_recharge(below=10**6, most=1000)
    till.work()
    assert states(till) == ["paid"]


def test_a_new_month_makes_room(till: Till) -> None:
    with time_machine.travel(datetime(2026, 1, 31, 23, 50, tzinfo=UTC)) as traveller:
        till.turn_on_recharge(below=10**6, most=1000)
        till.work()
        traveller.shift(timedelta(minutes=20))
        till.work()
    assert states(till) == ["paid", "paid"]


def test_an_attempt_open_over_the_months_edge_counts_in_both(till: Till) -> None:
    with time_machine.travel(datetime(2026, 1, 31, 23, 50, tzinfo=UTC)) as traveller:
        till.turn_on_recharge(below=10**6, most=1000)
        till.sandbox.control(
            "faults", fault="error_before", path="/v1/payment_intents", method="POST", count=3
        )
        auto_recharge.recharge(till.account_id)
        traveller.shift(timedelta(minutes=20))
        for _ in range(3):
            till.work()
    assert states(till) == ["paid"]


def test_price_and_worth_are_those_of_the_attempt(till: Till) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="error_before", path="/v1/payment_intents", method="POST", count=3)
    auto_recharge.recharge(till.account_id)
    till.pack().margin_bps = 9000
    db.session.commit()
    auto_recharge.resolve(till.recharges()[0].id)
    assert till.credits == 5000


def test_a_lost_answer_is_found_and_not_paid_twice(till: Till) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="drop_after", path="/v1/payment_intents", method="POST", count=3)
    auto_recharge.recharge(till.account_id)
    auto_recharge.resolve(till.recharges()[0].id)
    till.deliver()
    assert (till.credits, states(till), till.charges()) == (5000, ["paid"], 1)


def test_a_500_that_is_replayed_for_its_key_is_looked_up(till: Till) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="error_after", path="/v1/payment_intents", method="POST", count=1)
    auto_recharge.recharge(till.account_id)
    auto_recharge.resolve(till.recharges()[0].id)
    assert (till.credits, till.charges()) == (5000, 1)


def test_a_key_that_stripe_forgot_is_not_used_again(till: Till, travel: Travel) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="error_before", path="/v1/payment_intents", method="POST", count=3)
    auto_recharge.recharge(till.account_id)
    travel(timedelta(hours=24))
    auto_recharge.resolve(till.recharges()[0].id)
    assert (states(till), till.charges()) == (["canceled"], 0)


def test_a_payment_made_with_a_forgotten_key_is_found(till: Till, travel: Travel) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="drop_after", path="/v1/payment_intents", method="POST", count=3)
    auto_recharge.recharge(till.account_id)
    travel(timedelta(hours=24))
    auto_recharge.resolve(till.recharges()[0].id)
    assert (states(till), till.credits, till.charges()) == (["paid"], 5000, 1)


def test_a_declined_card_waits_an_hour(till: Till, travel: Travel) -> None:
    till.turn_on_recharge(card="decline")
    till.work()
    till.work()
    assert states(till) == ["declined"]
    travel(timedelta(minutes=61))
    till.work()
    assert states(till) == ["declined", "declined"]
    assert "recharge_declined" in till.mails()


def test_three_declines_pause_it(till: Till, travel: Travel) -> None:
    till.turn_on_recharge(card="decline")
    for _ in range(6):
        till.work()
        till.deliver()
        travel(timedelta(hours=25))
    assert (states(till), till.settings.paused_for) == (["declined"] * 3, "declined")
    assert till.mails().count("recharge_paused") == 1


def test_the_owners_saving_ends_a_pause(till: Till, travel: Travel) -> None:
    test_three_declines_pause_it(till, travel)
    till.turn_on_recharge()
    assert till.settings.is_acting


def test_authentication_gives_a_link_and_no_credits(till: Till) -> None:
    till.turn_on_recharge(card="authentication_always")
    till.work()
    till.deliver()
    assert (states(till), till.credits) == (["authentication"], 0)
    assert "authentication_needed" in till.mails()


def test_a_confirmed_authentication_credits_once(till: Till) -> None:
    till.turn_on_recharge(card="authentication_always")
    till.work()
    bank = auto_recharge.confirm(till.recharges()[0], "http://127.0.0.1/back")
    till.sandbox.post(bank.removeprefix(till.sandbox.url), outcome="complete")
    till.deliver(times=2)
    assert (states(till)[0], till.credits) == ("paid", 5000)


def test_authentication_that_never_comes_ends_in_a_pause(till: Till, travel: Travel) -> None:
    till.turn_on_recharge(card="authentication_always")
    till.work()
    travel(timedelta(hours=25))
    till.work()
    assert (states(till), till.settings.paused_for) == (["canceled"], "authentication")


@pytest.mark.parametrize("action", ["refund", "dispute"])
def test_a_refund_or_dispute_of_any_payment_pauses_it(till: Till, action: str) -> None:
    payment = till.buy_pack(2500)
    till.turn_on_recharge(below=1)
    getattr(till, action)(payment)
    assert till.settings.paused_for == action


def test_a_removed_card_pauses_it(till: Till) -> None:
    till.buy_pack()
    till.turn_on_recharge(below=1)
    till.remove_card()
    assert till.settings.paused_for == "card_removed"


def test_a_customer_deleted_at_stripe_pauses_it(till: Till) -> None:
    till.buy_pack()
    till.turn_on_recharge(below=1)
    till.sandbox.control("customer", customer=till.account.stripe_customer_id, action="delete")
    till.deliver()
    assert (till.settings.paused_for, till.account.stripe_customer_id) == ("card_removed", None)
    assert till.buy_pack().state == "paid"


def test_a_retired_pack_pauses_it(till: Till) -> None:
    till.turn_on_recharge()
    till.pack().status = "legacy"
    db.session.commit()
    till.work()
    assert (till.settings.paused_for, states(till)) == ("pack_gone", [])


def test_a_plan_without_packs_pauses_it(till: Till) -> None:
    till.turn_on_recharge()
    till.subscribe("Starter")
    till.use_allowance(5000)
    till.work()
    assert (till.settings.paused_for, states(till)) == ("packs_not_allowed", [])


def test_buying_by_hand_never_changes_the_switch(till: Till) -> None:
    till.buy_pack()
    assert till.credits == 5000
    with pytest.raises(Exception, match="No row"):
        _ = till.settings


def test_without_a_card_it_waits_for_one_and_then_acts(till: Till) -> None:
    wish = auto_recharge_settings.Wish(str(till.pack().id), 1, 10**9, 5000)
    saved = auto_recharge_settings.turn_on(till.caller, wish)
    assert till.settings.paused_for == "no_card"
    till.sandbox.pay(saved.setup_url.rsplit("/", 1)[1])
    till.deliver()
    assert till.credits == 5000


def test_a_maximum_below_one_purchase_is_refused(till: Till) -> None:
    with pytest.raises(InvalidRequest, match="monthly_max_cents"):
        till.turn_on_recharge(most=999)


def test_a_plan_without_packs_refuses_the_switch(till: Till) -> None:
    till.subscribe("Starter")
    with pytest.raises(Refusal) as refusal:
        till.turn_on_recharge()
    assert refusal.value.code == "packs_not_allowed"


def test_the_database_refuses_a_second_open_attempt(till: Till) -> None:
    till.turn_on_recharge()
    Recharge.attempt(till.settings, till.account)
    with pytest.raises(IntegrityError):
        Recharge.attempt(till.settings, till.account)
    db.session.rollback()


def test_a_subscription_that_ends_leaves_auto_recharge_on(till: Till) -> None:
    till.subscribe("Plus")
    till.turn_on_recharge(below=100)
    subscriptions.cancel(till.caller, at_once=True)
    till.deliver()
    assert till.settings.is_acting


def test_the_portal_is_stripes_page(till: Till) -> None:
    assert checkout.open_portal(till.caller).startswith(till.sandbox.url)
