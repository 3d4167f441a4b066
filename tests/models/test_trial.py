"""Trials: how much they give, to whom, and once. billing-rules.md 7."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.models.billing.stripe_objects import CardState
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import follow
from app.models.billing.trial import HAD_ONE
from tests.models.subscription_scenario import BEGIN, Deal, month
from tests.support import Database
from tests.support.people import CREDIT, actor, give, person

pytestmark = pytest.mark.usefixtures("in_january")


def test_a_trial_is_as_long_as_it_was_sold(session: Database) -> None:
    deal = Deal("Plus", trial_days=6)
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 2_000


def test_a_trial_that_began_at_stripe_is_as_long_as_stripe_says(deal: Deal) -> None:
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 5_000


def test_a_day_of_a_trial_that_was_begun_counts_whole(deal: Deal) -> None:
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=14, seconds=1))
    assert deal.allowance == 5_000


def test_an_upgrade_in_the_trial_leaves_used_what_was_used(session: Database) -> None:
    deal = Deal("Plus", trial_days=15)
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.account.allowance_nanos -= 3_000 * CREDIT
    deal.follow(**trial, price_id="price_Pro")
    pro = deal.subscription.plan.allowance_nanos // CREDIT
    assert (pro > 10_000, deal.allowance) == (True, pro // 2 - 3_000)


def test_an_upgrade_in_a_trial_without_credits_gives_what_the_new_plan_does(session: Database) -> None:
    deal = Deal("Plus", trial_days=15)
    deal.plan.surcharge_cents = deal.plan.price_cents
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.follow(**trial, price_id="price_Pro")
    assert deal.allowance == deal.subscription.plan.allowance_nanos // CREDIT // 2


def test_a_trial_keeps_the_worth_it_was_given_at(session: Database) -> None:
    deal = Deal("Plus", trial_days=15)
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.plan.margin_bps = 0
    deal.follow(**trial)
    assert deal.allowance == 5_000


def test_a_card_gives_one_trial_and_so_does_an_account(session: Database) -> None:
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    card = CardState("pm_1", "Visa 4242", "fp_1")
    first = Deal("Plus")
    first.follow(**trial, card=card)
    first.follow(**trial, card=card)
    assert (first.allowance, first.subscription.trial_refused_at) == (5_000, None)
    account = person("bob")
    account.stripe_customer_id = "cus_2"
    second = Subscription.begin(actor(account), account, first.plan)
    follow(second, account, replace(first.state, stripe_id="sub_2", customer_id="cus_2"), ())
    assert (account.allowance_nanos, second.trial_refused_at) == (0, BEGIN)


def test_a_team_has_no_trial(session: Database) -> None:
    deal = Deal("Plus")
    deal.account.kind = "team"
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert (deal.allowance, deal.subscription.trial_refused_at) == (0, BEGIN)
    assert deal.subscription.rejected_for == HAD_ONE


def test_a_trial_that_is_given_to_a_running_subscription_changes_nothing(deal: Deal) -> None:
    """As from Stripe's dashboard, to a customer who has paid."""
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="trialing", trial_start=month(0), trial_end=month(1))
    assert (deal.allowance, deal.subscription.rejected_at, deal.account.plan.name) == (10_000, None, "Plus")


def test_a_trial_that_is_heard_of_only_after_its_end_leaves_nothing(deal: Deal) -> None:
    deal.follow(status="canceled", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15), ended_at=BEGIN)
    kinds = [entry.kind for entry in deal.account.entries()]
    assert kinds[-2:] == ["allowance_ended", "trial"]
    assert deal.account.plan.name == "Free"


def test_a_trial_takes_the_place_of_the_free_allowance(deal: Deal) -> None:
    deal.account.allowance_nanos = 400 * CREDIT
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 5_000


def test_an_account_has_one_trial_ever(deal: Deal) -> None:
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.follow(status="canceled", ended_at=BEGIN)
    again = Subscription.begin(actor(deal.account), deal.account, deal.plan, trial_days=15)
    follow(again, deal.account, replace(deal.state, stripe_id="sub_2", status="trialing", ended_at=None), ())
    assert (deal.allowance, again.trial_refused_at) == (500, BEGIN)


def test_a_trial_repays_a_debt_and_does_not_mind_what_was_granted(deal: Deal) -> None:
    give(deal.account, credits=-1_000 * CREDIT)
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert (deal.allowance, deal.account.credits_nanos) == (4_000, 0)


def test_a_trial_goes_on_while_its_plan_is_retired(deal: Deal) -> None:
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    deal.plan.status = "inactive"
    deal.follow()
    assert (deal.subscription.rejected_for, deal.allowance) == ("", 5_000)


def test_a_second_subscription_that_is_not_wanted_begins_no_trial(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    second = Subscription.begin(actor(deal.account), deal.account, deal.plan, trial_days=15)
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    follow(second, deal.account, replace(deal.state, stripe_id="sub_2", **trial), ())
    assert (second.rejected_for != "", second.trial_granted_nanos, deal.allowance) == (True, 0, 10_000)
