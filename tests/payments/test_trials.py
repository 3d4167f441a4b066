"""Trials: once per account and card, with their share of a month."""

import pytest

from app.payments import subscriptions
from app.extensions import db
from app.models.billing.subscription import Subscription
from tests.payments.stripe_scenario import Till

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def plus_has_a_week_to_try(till: Till) -> None:
    for name in ("Plus", "Pro"):
        till.plan(name).trial_days = 6
    db.session.commit()


def test_a_trial_gives_its_share_of_a_month(till: Till) -> None:
    subscription = till.subscribe("Plus")
    assert (subscription.status, till.entries()) == ("trialing", [("trial", 2000, 0)])


def test_the_first_payment_replaces_the_trial(till: Till) -> None:
    till.subscribe("Plus")
    till.renew()
    assert till.subscription.status == "active"
    assert till.entries() == [("trial", 2000, 0), ("refill", 8000, 0)]


def test_an_upgrade_in_the_trial_gives_its_share_less_what_is_used(till: Till) -> None:
    till.subscribe("Plus")
    till.change("Pro")
    assert till.account.plan.name == "Pro"
    assert till.entries() == [("trial", 2000, 0), ("plan_change", 9000, 0)]


def test_going_up_and_down_and_up_in_a_trial_mints_nothing(till: Till) -> None:
    till.subscribe("Plus")
    for name in ("Pro", "Plus", "Pro"):
        till.change(name)
    assert till.allowance == 11000


def test_a_second_trial_of_the_account_is_none(till: Till) -> None:
    till.subscribe("Plus")
    subscriptions.cancel(till.caller, at_once=True)
    till.deliver()
    again = till.subscribe("Plus")
    assert (again.status, till.kinds().count("trial")) == ("active", 1)


def test_a_card_that_had_its_trial_pays_at_once(till: Till) -> None:
    till.subscribe("Plus")
    bob = Till(till.sandbox, "bob")
    bob.seen = till.seen
    bob.subscribe("Plus")
    bob.deliver()
    theirs = db.session.query(Subscription).filter_by(account_id=bob.account_id).one()
    assert (theirs.status, bob.kinds()) == ("active", ["refill"])


def test_a_cancelled_trial_ends_with_its_allowance(till: Till) -> None:
    till.subscribe("Plus")
    subscriptions.cancel(till.caller)
    till.renew()
    assert (till.account.plan.name, till.kinds()[1]) == ("Free", "allowance_ended")


def test_the_owner_is_told_before_the_trial_ends(till: Till) -> None:
    till.subscribe("Plus")
    till.advance(4)
    assert "trial_ends" in till.mails()
