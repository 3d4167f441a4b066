"""Trials: once per account and card, with their share of a month."""

import pytest

from app.extensions import db
from app.models.billing.subscription import Subscription
from app.models.operations.outbox import OutgoingMail
from app.payments import subscriptions
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


@pytest.fixture(autouse=True)
def plus_has_a_week_to_try(scenario: StripeScenario) -> None:
    for name in ("Plus", "Pro"):
        scenario.plan(name).trial_days = 6
    db.session.commit()


def test_a_trial_gives_its_share_of_a_month_and_the_first_payment_replaces_it(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    assert (subscription.status, scenario.entries()) == ("trialing", [("trial", 2000, 0)])
    scenario.renew()
    assert scenario.subscription.status == "active"
    assert scenario.entries() == [("trial", 2000, 0), ("refill", 8000, 0)]


def test_an_upgrade_in_the_trial_gives_its_share_less_what_is_used_and_doing_it_again_mints_nothing(
    scenario: StripeScenario,
) -> None:
    scenario.subscribe("Plus")
    scenario.change("Pro")
    assert scenario.account.plan.name == "Pro"
    assert scenario.entries() == [("trial", 2000, 0), ("plan_change", 9000, 0)]
    for name in ("Plus", "Pro"):
        scenario.change(name)
    assert scenario.allowance == 11000


def test_a_cheaper_plan_is_chosen_in_the_trial_and_charged_at_its_end(scenario: StripeScenario) -> None:
    scenario.subscribe("Pro")
    scenario.change("Plus")
    assert (scenario.subscription.status, scenario.account.plan.name) == ("trialing", "Pro")
    assert (scenario.subscription.pending_plan, scenario.entries()) == (scenario.plan("Plus"), [("trial", 11000, 0)])
    scenario.advance(4)
    assert told_amounts() == ["$20.00"]
    scenario.renew()
    assert (scenario.account.plan.name, scenario.last_payment("invoice").price_cents) == ("Plus", 2000)
    assert scenario.entries()[1:] == [("refill", -1000, 0)]


def test_a_second_trial_of_the_account_is_none(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor, at_once=True)
    scenario.deliver()
    again = scenario.subscribe("Plus")
    assert (again.status, scenario.kinds().count("trial")) == ("active", 1)


def test_a_card_that_had_its_trial_is_charged_nothing(scenario: StripeScenario) -> None:
    """The subscription is cancelled and the owner told; a new one, without a trial, is a new consent."""
    scenario.subscribe("Plus")
    bob = StripeScenario(scenario.sandbox, "bob")
    bob.seen = scenario.seen
    bob.subscribe("Plus")
    bob.advance(10)
    theirs = db.session.query(Subscription).filter_by(account_id=bob.account_id).one()
    assert (theirs.status, bob.kinds(), bob.account.plan.name) == ("canceled", [], "Pay as you go")
    intents = scenario.sandbox.running.sandbox.store.where("payment_intent", customer=bob.account.stripe_customer_id)
    assert (intents, "trial_refused" in scenario.mails()) == ([], True)
    again = bob.subscribe("Plus")
    assert (again.status, bob.kinds()) == ("active", ["refill"])


def test_a_cancelled_trial_ends_with_its_allowance(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor)
    scenario.renew()
    assert (scenario.account.plan.name, scenario.kinds()[1]) == ("Free", "allowance_ended")


def told_amounts() -> list[str]:
    """What the owner is told to be charged when the trial ends."""
    return [mail.context["amount"] for mail in db.session.query(OutgoingMail).filter_by(template="trial_ends")]


@pytest.mark.parametrize(("then", "amounts"), [("", ["$100.00"]), ("Pay as you go", [])])
def test_the_owner_is_told_before_the_trial_ends_what_is_charged_then(
    scenario: StripeScenario, then: str, amounts: list[str]
) -> None:
    scenario.subscribe("Pro")
    if then:
        scenario.change(then)
    scenario.advance(4)
    assert told_amounts() == amounts
