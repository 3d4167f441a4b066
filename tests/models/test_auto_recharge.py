"""Auto-recharge: when an attempt is due, what the month has room for, and what pauses it. billing-rules.md 8."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from app.extensions import db
from app.models.billing.auto_recharge import AutoRecharge, Recharge, is_being_paid
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from tests.models.conftest import NOON
from tests.support import Database
from tests.support.people import CREDIT, paid, person

WAITS = [timedelta(hours=hours) for hours in (1, 6, 24)]
"""As the rules say."""


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def account(session: Database) -> Account:
    """ada, who has 600 credits of allowance and 399 bought."""
    return person("ada", allowance=600 * CREDIT, credits=399 * CREDIT)


@pytest.fixture
def rules(account: Account) -> AutoRecharge:
    """A pack of 10 dollars below 1,000 credits, 25 dollars a month at most."""
    pack = db.session.query(CreditPack).filter_by(price_cents=1000).one()
    made = AutoRecharge(account=account, pack=pack, quantity=1, threshold_nanos=1000 * CREDIT)
    made.monthly_max_cents, made.card_id = 2500, "pm_1"
    db.session.add(made)
    made.turn_on()
    db.session.flush()
    return made


def pay(recharge: Recharge, account: Account) -> bool:
    done = recharge.succeed(account, paid(f"pi_{recharge.id}", recharge.payment))
    db.session.flush()
    return done


def test_it_is_due_below_the_threshold_and_not_on_it(account: Account, rules: AutoRecharge) -> None:
    assert (rules.is_due(NOON), AutoRecharge.below_threshold(NOON)) == (True, [account.id])
    account.credits_nanos += CREDIT
    db.session.flush()
    assert (rules.is_due(NOON), AutoRecharge.below_threshold(NOON)) == (False, [])


def test_the_month_has_room_up_to_its_maximum(account: Account, rules: AutoRecharge) -> None:
    rules.monthly_max_cents = 2000
    pay(Recharge.attempt(rules, account), account)
    assert (rules.month_total_cents(NOON), rules.exceeds_month(NOON)) == (1000, False)
    Recharge.attempt(rules, account)
    assert (rules.month_total_cents(NOON), rules.exceeds_month(NOON)) == (2000, True)


def test_a_new_month_has_room_again_but_for_what_is_open_or_paid_in_it(
    account: Account, rules: AutoRecharge, clock: time_machine.Traveller
) -> None:
    pay(Recharge.attempt(rules, account), account)
    declined = Recharge.attempt(rules, account)
    declined.decline("card_declined")
    assert (declined.state, declined.payment.state, declined.decline_code) == (
        "declined",
        "failed",
        "card_declined",
    )
    late = Recharge.attempt(rules, account)
    clock.shift(timedelta(days=1))
    april = NOON + timedelta(days=1)
    assert (rules.month_total_cents(NOON), rules.month_total_cents(april)) == (2000, 1000)
    clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    pay(late, account)
    assert rules.month_total_cents(april) == 1000
    assert rules.month_total_cents(april + timedelta(days=30)) == 0


def test_each_decline_waits_longer_and_the_last_pauses(account: Account, rules: AutoRecharge) -> None:
    paused = []
    for wait in WAITS:
        paused.append(rules.declined(NOON))
        assert rules.next_attempt_at == NOON + wait
        assert not rules.is_due(NOON + wait - timedelta(seconds=1))
    assert paused == [False] * (len(WAITS) - 1) + [True]
    assert (rules.pause_reason, account.recharge_below_nanos) == ("declined", None)
    rules.declined(NOON)
    assert rules.next_attempt_at == NOON + WAITS[-1]
    rules.turn_on()
    assert (rules.is_due(NOON), rules.declines, rules.next_attempt_at) == (True, 0, None)


def test_after_a_rest_it_is_looked_at_again(account: Account, rules: AutoRecharge) -> None:
    rules.declined(NOON)
    db.session.flush()
    again = rules.next_attempt_at
    assert AutoRecharge.below_threshold(again - timedelta(seconds=1)) == []
    assert AutoRecharge.below_threshold(again) == [account.id]
    assert rules.is_due(again)
    rules.succeeded()
    assert (rules.declines, rules.next_attempt_at) == (0, None)


def test_what_is_off_or_paused_is_not_watched(account: Account, rules: AutoRecharge) -> None:
    rules.turn_off()
    assert (account.recharge_below_nanos, rules.is_due(NOON)) == (None, False)
    assert (rules.pause("account"), rules.pause_reason) == (False, "")
    rules.turn_on()
    assert account.recharge_below_nanos == 1000 * CREDIT
    assert rules.lose_card()
    assert (rules.pause("declined"), rules.pause_reason) == (False, "card_removed")
    assert (account.recharge_below_nanos, rules.pause_reason) == (None, "card_removed")
    rules.use_card("pm_2", "Visa 4242")
    assert (account.recharge_below_nanos, rules.pause_reason) == (1000 * CREDIT, "")
    assert rules.pause("declined")
    rules.use_card("pm_3", "Visa 4242")
    assert (account.recharge_below_nanos, rules.pause_reason) == (None, "declined")


def test_without_a_card_it_waits_for_one(account: Account, rules: AutoRecharge) -> None:
    rules.card_id = None
    rules.turn_on()
    assert (rules.pause_reason, account.recharge_below_nanos, rules.forbidden_by()) == (
        "no_card",
        None,
        "no_card",
    )


def test_what_forbids_it_is_named(account: Account, rules: AutoRecharge) -> None:
    assert rules.forbidden_by() is None
    rules.pack.status = "inactive"
    assert rules.forbidden_by() == "pack_gone"
    account.plan.status = "inactive"
    assert rules.forbidden_by() == "plan_gone"
    account.frozen_at = NOON
    assert rules.forbidden_by() == "account"


def test_those_of_a_plan_are_found_while_they_act(account: Account, rules: AutoRecharge) -> None:
    others, account.plan = account.plan, db.session.query(Plan).filter_by(name="Pay as you go").one()
    db.session.flush()
    assert AutoRecharge.acting(Account.plan_id == account.plan_id) == [account.id]
    assert AutoRecharge.acting(Account.plan_id == others.id) == []
    rules.pause("declined")
    db.session.flush()
    assert AutoRecharge.acting(Account.plan_id == account.plan_id) == []


def test_a_call_waits_for_what_is_on_its_way_and_for_nothing_else(account: Account, rules: AutoRecharge) -> None:
    assert is_being_paid(account.id, NOON)
    rules.card_id = None
    assert not is_being_paid(account.id, NOON)
    rules.card_id = "pm_1"
    one = Recharge.attempt(rules, account)
    assert is_being_paid(account.id, one.created_at + timedelta(minutes=9))
    assert not is_being_paid(account.id, one.created_at + timedelta(minutes=10)), "as a bank debit, which takes days"
    one.ask_owner("pi_1")
    assert not is_being_paid(account.id, NOON)
    one.cancel()
    assert (one.state, one.payment.state) == ("canceled", "canceled")
    rules.turn_off()
    db.session.flush()
    assert not is_being_paid(account.id, NOON)


def test_an_attempt_is_paid_once(account: Account, rules: AutoRecharge) -> None:
    one = Recharge.attempt(rules, account)
    assert Recharge.open_for(account.id) is one
    assert Recharge.all_open(NOON + timedelta(seconds=1)) == [one.id]
    assert Recharge.all_open(NOON) == []
    assert [pay(one, account) for _ in range(2)] == [True, False]
    assert (one.state, one.ended_at, account.credits_nanos) == ("paid", NOON, 5399 * CREDIT)
    assert (Recharge.open_for(account.id), Recharge.all_open(NOON + timedelta(days=1))) == (None, [])


def test_stripe_forgets_a_key_after_a_day(account: Account, rules: AutoRecharge) -> None:
    one = Recharge.attempt(rules, account)
    made = one.created_at
    assert (one.key_is_alive(made), one.key_is_alive(made + timedelta(days=1))) == (True, False)


def test_several_packs_at_a_time_count_as_many_times(account: Account, rules: AutoRecharge) -> None:
    rules.quantity = 2
    assert (rules.price_cents, rules.exceeds_month(NOON)) == (2000, False)
    pay(Recharge.attempt(rules, account), account)
    assert (rules.month_total_cents(NOON), rules.exceeds_month(NOON)) == (2000, True)
    assert account.credits_nanos == 10_399 * CREDIT


def test_a_month_begins_with_its_first_moment(
    account: Account, rules: AutoRecharge, clock: time_machine.Traveller
) -> None:
    clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    pay(Recharge.attempt(rules, account), account)
    assert rules.month_total_cents(NOON + timedelta(days=9)) == 1000
