"""Plans and packs at Stripe: made and kept up by jobs, never typed."""

from app.payments import product_sync
from app.extensions import db
from app.models.catalog.plan import Plan
from tests.payments.stripe_scenario import Till


def products(till: Till) -> dict[str, bool]:
    return {one["name"]: one["active"] for one in till.sandbox.running.sandbox.store.all("product")}


def test_what_is_sold_is_published_and_what_is_free_is_not(till: Till) -> None:
    till.work()
    assert {"Plus", "Starter", "5,000 credits"} <= products(till).keys()
    assert not {"Free", "Pay as you go"} & products(till).keys()
    assert product_sync.unpublished() == []


def test_publishing_again_makes_nothing_new(till: Till) -> None:
    till.work()
    before = products(till)
    till.work()
    assert products(till) == before


def test_a_new_name_is_told_and_keeps_its_price(till: Till) -> None:
    till.work()
    plan = till.plan("Plus")
    price, plan.name = plan.stripe_price_id, "Plus 2"
    till.commit()
    till.work()
    assert "Plus 2" in products(till)
    assert till.plan("Plus 2").stripe_price_id == price


def test_a_new_price_keeps_the_old_one_in_mind(till: Till) -> None:
    till.work()
    plan = till.plan("Plus")
    old, plan.price_cents = plan.stripe_price_id, 2500
    till.commit()
    till.work()
    assert till.plan("Plus").stripe_price_id != old
    assert Plan.with_stripe_price(old).name == "Plus"


def test_a_subscription_locks_the_terms_of_its_plan(till: Till) -> None:
    till.subscribe("Plus")
    assert till.plan("Plus").terms_locked_at


def test_making_a_plan_inactive_ends_its_subscriptions_and_rests_auto_recharge(till: Till) -> None:
    till.subscribe("Plus")
    till.turn_on_recharge(below=1)
    till.plan("Plus").status = "inactive"
    till.commit()
    till.publish("Plus")
    assert till.subscription.cancel_at_period_end
    assert till.settings.paused_for == "plan_gone"


def test_a_plan_that_is_retired_in_mid_checkout_is_paid_back(till: Till) -> None:
    session_id = till.begin_plan("Plus")
    till.plan("Plus").status = "inactive"
    till.commit()
    till.sandbox.pay(session_id)
    till.deliver()
    assert (till.subscription, till.account.plan.name) == (None, "Pay as you go")
    assert till.last_payment("invoice").refunded_cents == 2000


def test_a_new_version_in_mid_checkout_leaves_the_old_terms(till: Till) -> None:
    session_id = till.begin_plan("Plus")
    till.plan("Plus").new_version().price_cents = 9900
    till.commit()
    till.sandbox.pay(session_id)
    till.deliver()
    assert till.account.plan.status == "legacy"
    assert till.last_payment("invoice").price_cents == 2000


def test_closing_an_account_ends_what_is_paid_for(till: Till) -> None:
    till.subscribe("Plus")
    till.turn_on_recharge(below=1)
    till.account.close()
    db.session.commit()
    till.close_account()
    assert till.subscription is None
    assert not till.settings.is_on
