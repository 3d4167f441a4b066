"""Plans and packs at Stripe: made and kept up by jobs, never typed."""

import pytest
from flask import Flask

from app.admin.plan_impact import consequences
from app.extensions import db
from app.models.catalog.plan import Plan
from app.payments import product_sync
from tests.admin.conftest import AdminClient, sign_in
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import person
from tests.support.queue import work_off


@pytest.fixture
def published() -> None:
    """Nothing is: these tests tell."""


def products(scenario: StripeScenario) -> dict[str, bool]:
    return {one["name"]: one["active"] for one in scenario.sandbox.running.sandbox.store.all("product")}


def test_what_is_sold_is_published_once_and_follows_its_name_and_its_price(scenario: StripeScenario) -> None:
    scenario.work()
    before = products(scenario)
    assert {"Plus", "Starter", "Small pack"} <= before.keys()
    assert not {"Free", "Pay as you go"} & before.keys()
    assert product_sync.unpublished() == []
    scenario.work()
    assert products(scenario) == before

    plan = scenario.plan("Plus")
    price, plan.name = plan.stripe_price_id, "Plus 2"
    scenario.commit()
    scenario.work()
    assert "Plus 2" in products(scenario)
    assert scenario.plan("Plus 2").stripe_price_id == price

    scenario.plan("Plus 2").price_cents = 2500
    scenario.commit()
    scenario.work()
    assert scenario.plan("Plus 2").stripe_price_id != price
    assert Plan.with_stripe_price(price).name == "Plus 2"


def test_making_a_plan_inactive_ends_its_subscriptions_and_rests_auto_recharge(
    scenario: StripeScenario,
) -> None:
    scenario.subscribe("Plus")
    assert scenario.plan("Plus").terms_locked_at
    scenario.turn_on_recharge(below=1)
    scenario.plan("Plus").status = "inactive"
    scenario.commit()
    scenario.publish("Plus")
    assert scenario.subscription.cancel_at_period_end
    assert scenario.settings.pause_reason == "plan_gone"


def test_what_buys_a_pack_pauses_once_that_is_retired(scenario: StripeScenario, app: Flask) -> None:
    scenario.turn_on_recharge(below=1)
    founder, pack_id, browser = person("founder").owner, scenario.pack().id, app.test_client()
    founder.admin_role = "owner"
    sign_in(browser, founder)
    owner = AdminClient(browser)
    assert "1 auto-recharge buys it." in owner.get(f"/admin/pack/edit/?id={pack_id}").text
    answer = owner.post("/admin/pack/new-version/", id=pack_id)
    work_off(app)
    assert (answer.status_code, scenario.settings.pause_reason) == (302, "pack_gone")
    assert "auto-recharge that did is paused" in owner.get("/admin/pack/").text


def test_nobody_is_moved_to_a_plan_that_was_made_inactive_meanwhile(scenario: StripeScenario) -> None:
    scenario.subscribe("Pro")
    scenario.change("Plus")
    scenario.plan("Plus").status = "inactive"
    scenario.commit()
    assert "1 subscription will move to it." in consequences(scenario.plan("Plus"))[0][1]
    scenario.publish("Plus")
    subscription = scenario.subscription
    assert (subscription.pending_plan, subscription.cancel_at_period_end) == (None, True)
    scenario.renew()
    assert (scenario.subscription, scenario.account.plan.name) == (None, "Free")
    assert scenario.last_payment("invoice").price_cents == 10_000


def test_a_plan_that_is_retired_in_mid_checkout_is_paid_back(scenario: StripeScenario) -> None:
    session_id = scenario.begin_plan("Plus")
    scenario.plan("Plus").status = "inactive"
    scenario.commit()
    scenario.sandbox.pay(session_id)
    scenario.deliver()
    assert (scenario.subscription, scenario.account.plan.name) == (None, "Pay as you go")
    assert scenario.last_payment("invoice").refunded_cents == 2000


def test_a_new_version_in_mid_checkout_leaves_the_old_terms(scenario: StripeScenario) -> None:
    session_id = scenario.begin_plan("Plus")
    scenario.plan("Plus").new_version().price_cents = 9900
    scenario.commit()
    scenario.sandbox.pay(session_id)
    scenario.deliver()
    assert scenario.account.plan.status == "legacy"
    assert scenario.last_payment("invoice").price_cents == 2000


def test_closing_an_account_ends_what_is_paid_for(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    scenario.turn_on_recharge(below=1)
    scenario.account.close()
    db.session.commit()
    scenario.close_account()
    assert scenario.subscription is None
    assert not scenario.settings.is_on
