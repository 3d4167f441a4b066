"""A subscription mirrors what Stripe says: its plan and the next one, its end, and what must not go on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment_errors import Mismatch
from app.models.billing.stripe_objects import CardState, ItemState, SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from tests.support import Database
from tests.support.people import actor

BEGIN = datetime(2026, 1, 10, 12, tzinfo=UTC)
STATE = SubscriptionState(
    "sub_1", "active", "cus_1", "si_1", "price_Plus", BEGIN, BEGIN + timedelta(days=31), pay_url="https://pay"
)


@pytest.fixture
def plans(session: Database) -> dict[str, Plan]:
    plans = {plan.name: plan for plan in db.session.query(Plan)}
    for name, plan in plans.items():
        plan.stripe_price_id = f"price_{name}"
    return plans


@pytest.fixture
def subscription(account: Account, plans: dict[str, Plan]) -> Subscription:
    return Subscription.begin(actor(account), account, plans["Plus"])


def told(subscription: Subscription, **changes: object) -> Subscription:
    subscription.mirror(replace(STATE, **changes))
    db.session.flush()
    return subscription


def test_what_has_ended_stays_ended_and_has_nothing_to_pay(subscription: Subscription) -> None:
    assert told(subscription).pay_url == "https://pay"
    ended_at = BEGIN + timedelta(days=3)
    told(subscription, status="canceled", ended_at=ended_at)
    told(subscription, status="active")
    assert (subscription.status, subscription.ended_at, subscription.pay_url) == ("canceled", ended_at, None)


def test_an_end_without_a_moment_is_now(subscription: Subscription) -> None:
    assert told(subscription).ended_at is None
    before = utcnow()
    assert told(subscription, status="canceled").ended_at >= before


def test_a_card_that_is_not_told_of_stays(subscription: Subscription) -> None:
    told(subscription, card=CardState("pm_1", "Visa 4242", "fp_1"))
    assert told(subscription).card_label == "Visa 4242"


def test_another_price_is_another_plan_and_an_unknown_one_is_noted(
    subscription: Subscription, plans: dict[str, Plan]
) -> None:
    told(subscription, price_id="price_Pro")
    assert (subscription.plan, subscription.price_cents) == (plans["Pro"], plans["Pro"].price_cents)
    told(subscription, price_id="price_other", status="past_due")
    assert (subscription.plan, subscription.status) == (plans["Pro"], "past_due")
    assert "price_other" in subscription.review_note
    told(subscription, price_id="price_Pro", next_price_ids=("price_later",))
    assert (subscription.pending_plan, "price_later" in subscription.review_note) == (None, True)
    assert told(subscription, price_id="price_Pro").review_note == ""


def test_of_several_items_the_one_that_sells_a_plan_is_ours(subscription: Subscription, plans: dict[str, Plan]) -> None:
    later = BEGIN + timedelta(days=40)
    other = ItemState("si_0", "price_other", BEGIN, later)
    own = ItemState("si_9", "price_Pro", BEGIN, BEGIN + timedelta(days=31), quantity=3)
    told(subscription, items=(other, own))
    assert (subscription.plan, subscription.stripe_item_id) == (plans["Pro"], "si_9")
    assert subscription.period_end == own.period_end
    assert subscription.review_note == "price price_other at Stripe is no plan's; quantity 3 at Stripe"


def test_labels_that_were_edited_at_stripe_are_noted_once_the_subscription_is_known(
    subscription: Subscription,
) -> None:
    told(subscription)
    told(subscription, metadata={"account_id": "0"}, cancel_at_period_end=True)
    assert (subscription.cancel_at_period_end, subscription.review_note) == (
        True,
        "account_id is '0' at Stripe",
    )


def test_what_follows_is_the_scheduled_price_or_the_free_plan_after_a_cancel(
    subscription: Subscription, plans: dict[str, Plan]
) -> None:
    after = {"metadata": {"next_plan_id": str(plans["Free"].id)}}
    assert told(subscription, next_price_ids=("price_Starter",)).pending_plan is plans["Starter"]
    assert told(subscription, next_price_ids=("price_Plus",)).pending_plan is None
    assert told(subscription, **after).pending_plan is None
    assert told(subscription, cancel_at_period_end=True, **after).pending_plan is plans["Free"]
    assert told(subscription, cancel_at_period_end=True).pending_plan is None


@pytest.mark.parametrize("wrong", [{"account_id": "0"}, {"subscription_id": "0"}])
def test_another_ones_subscription_is_a_mismatch(subscription: Subscription, wrong: dict[str, str]) -> None:
    with pytest.raises(Mismatch, match="at Stripe"):
        subscription.mirror(replace(STATE, metadata=wrong))
    told(subscription)
    with pytest.raises(Mismatch, match="sub_2"):
        subscription.mirror(replace(STATE, stripe_id="sub_2"))


def test_a_higher_price_of_the_same_interval_is_an_upgrade(subscription: Subscription, plans: dict[str, Plan]) -> None:
    upgrades = {name for name, plan in plans.items() if subscription.is_upgrade(plan)}
    assert upgrades == {
        name
        for name, plan in plans.items()
        if plan.interval == "month" and plan.price_cents > plans["Plus"].price_cents
    }
    assert "Plus (yearly)" not in upgrades


def test_what_must_not_go_on_is_found(subscription: Subscription, account: Account, plans: dict[str, Plan]) -> None:
    def result() -> bool:
        db.session.flush()
        return Subscription.to_cancel() == [subscription.id]

    subscription.status = "trialing"
    assert not result()
    subscription.stripe_id = "sub_1"
    assert not result()
    subscription.status = "active"
    assert not result()
    subscription.reject("second")
    assert result()
    subscription.rejected_at = None
    account.closed_at = BEGIN
    assert result()
    account.closed_at, plans["Plus"].status = None, "inactive"
    assert result()
    subscription.cancel_at_period_end = True
    assert not result()


def test_each_wish_has_a_key_of_its_own(subscription: Subscription) -> None:
    keys = [
        subscription.idempotency_key,
        subscription.intend(),
        subscription.idempotency_key,
        subscription.intend(),
    ]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3
    assert keys[1].startswith(f"subscription-{subscription.id}-{int(subscription.created_at.timestamp() * 1000)}-")


def test_the_first_reason_to_reject_it_stays(subscription: Subscription) -> None:
    subscription.status = "active"
    assert (subscription.is_live, subscription.gives_rights) == (True, True)
    subscription.reject("first")
    was = subscription.rejected_at
    subscription.reject("second")
    assert (subscription.rejected_at, subscription.rejected_for) == (was, "first")
    assert (subscription.is_live, subscription.gives_rights) == (False, False)
