"""A database that was begun with one Stripe account and goes on with another one's key."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.billing.stripe_account import StripeAccount
from app.models.billing.subscription import Subscription
from app.models.metering.refusal import InvalidRequest
from app.payments import checkout, product_sync, reconciliation, refunds, stripe_account, subscriptions
from tests.payments.stripe_scenario import StripeScenario
from tests.support.running_sandbox import StartedSandbox

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


class Keys:
    """The two accounts, and the app's key: `go_live()` starts it again with the other's."""

    def __init__(self, app: Flask, scenario: StripeScenario, other: StartedSandbox) -> None:
        self.app, self.scenario, self.test, self.live = app, scenario, scenario.sandbox, other

    def use(self, sandbox: StartedSandbox, key: str) -> None:
        self.app.config |= {"STRIPE_SECRET_KEY": key, "STRIPE_API_BASE": sandbox.url}
        self.app.extensions.pop("stripe", None)
        self.scenario.sandbox = sandbox

    def go_live(self) -> None:
        self.use(self.live, "sk_live_of_the_other")

    def go_back(self) -> None:
        self.use(self.test, "sk_test_sandbox")


@pytest.fixture
def keys(app: Flask, scenario: StripeScenario) -> Iterator[Keys]:
    other = StartedSandbox(live=True)
    yield Keys(app, scenario, other)
    other.stop()


def is_whole(scenario: StripeScenario) -> bool:
    """A first run may find what went on meanwhile; a second one finds nothing, and every balance is explained."""
    list(reconciliation.reconcile())
    return list(reconciliation.reconcile()) == [] and scenario.is_explained()


def ids(scenario: StripeScenario) -> tuple[str | None, ...]:
    own = scenario.subscription.stripe_id, scenario.account.stripe_customer_id
    return *own, scenario.plan("Plus").stripe_price_id


def test_the_key_goes_back_and_forth_in_mid_subscription(keys: Keys, scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    payment, known, before = scenario.last_payment("invoice"), ids(scenario), scenario.subscription.id
    goes_live_and_buys(keys, scenario)
    with pytest.raises(InvalidRequest, match="Refund it there"):
        refunds.request_refund(payment.id, reason="asked")
    keys.go_back()
    scenario.work()
    assert (ids(scenario), StripeAccount.in_use().is_live) == (known, False)
    scenario.renew()
    assert (scenario.allowance, is_whole(scenario)) == (10_000, True)
    assert scenario.kinds().count("refill") == 2
    keys.go_live()
    scenario.work()
    assert (scenario.buy_pack().state, scenario.credits) == ("paid", 10_000)
    subscribes_anew(scenario, before)


def goes_live_and_buys(keys: Keys, scenario: StripeScenario) -> None:
    """What was paid is kept, and there is no subscription; plans and packs are made there."""
    keys.go_live()
    findings = list(reconciliation.reconcile())
    assert "is in use instead of" in findings[0].message
    assert {"plan Plus", "pack Small pack"} <= {one.subject for one in findings}
    assert list(reconciliation.reconcile()) == []
    assert (scenario.account.plan.name, scenario.allowance, scenario.subscription) == ("Plus", 10_000, None)
    assert (scenario.buy_pack().state, scenario.credits) == ("paid", 5_000)
    assert product_sync.unpublished() == []


def subscribes_anew(scenario: StripeScenario, before: int) -> None:
    now = scenario.subscribe("Pro")
    assert (scenario.account.plan.name, scenario.subscription.id) == ("Pro", now.id)
    former = db.session.get_one(Subscription, before)
    assert (former.status, former.is_in_force, former.former_account_id is None) == ("active", False, False)
    assert scenario.is_explained()


def test_a_recharge_whose_answer_was_lost_is_credited_back_at_its_account(keys: Keys, scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(below=1000)
    scenario.sandbox.control("faults", fault="drop_after", method="POST", path="/v1/payment_intents", count=10)
    scenario.work()
    scenario.sandbox.control("faults", clear=True)
    assert ([one.state for one in scenario.recharges()], scenario.charges()) == (["open"], 1)
    keys.go_live()
    scenario.work()
    assert (scenario.settings.card_id, scenario.settings.pause_reason) == (None, "other_account")
    assert "recharge_paused" in scenario.mails()
    assert (is_whole(scenario), scenario.credits, scenario.charges()) == (True, 0, 0)
    keys.go_back()
    scenario.work()
    assert is_whole(scenario)
    assert ([one.state for one in scenario.recharges()], scenario.credits) == (["paid"], 5_000)
    assert (scenario.charges(), scenario.settings.pause_reason) == (1, "other_account")
    keys.go_live()
    scenario.work()
    scenario.turn_on_recharge(below=6000)
    scenario.work()
    assert (scenario.credits, scenario.settings.pause_reason) == (10_000, "")


def test_what_was_open_at_the_other_account_holds_up_nothing(keys: Keys, scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(below=1)
    scenario.begin_plan("Plus")
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.store_all()
    keys.go_live()
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=True):
        assert len(list(reconciliation.reconcile())) >= 1
        assert list(reconciliation.reconcile()) == []
    assert "no longer in use" in scenario.events("parked")[0].error


def test_a_new_key_of_the_same_account_changes_nothing_and_what_was_paid_ends_with_its_period(
    keys: Keys, scenario: StripeScenario
) -> None:
    scenario.subscribe("Plus")
    keys.use(keys.test, "sk_test_rolled")
    assert (stripe_account.check(), scenario.subscription is not None) == (None, True)
    keys.go_live()
    scenario.work()
    with time_machine.travel(utcnow() + timedelta(days=32), tick=True):
        scenario.work()
    assert scenario.account.plan.name == "Free"
    assert "subscription_ended" in scenario.mails()


def test_ids_from_before_accounts_were_noted_are_kept_where_stripe_knows_them(
    keys: Keys, scenario: StripeScenario
) -> None:
    scenario.begin_pack()
    known = scenario.account.stripe_customer_id
    db.session.query(StripeAccount).delete()
    db.session.commit()
    assert (stripe_account.check(), scenario.account.stripe_customer_id) == (None, known)
    db.session.query(StripeAccount).delete()
    db.session.commit()
    keys.go_live()
    assert stripe_account.check() is not None
    assert (scenario.account.stripe_customer_id, scenario.plan("Plus").stripe_price_id) == (None, None)


@pytest.mark.parametrize("status", [403, 404])
def test_where_a_key_may_not_name_its_account_its_ids_are_tried(
    keys: Keys, scenario: StripeScenario, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("app.stripe_api.client.own_account", lambda: None)
    scenario.subscribe("Plus")
    keys.use(keys.test, "sk_test_rolled")
    assert (stripe_account.check(), scenario.subscription is not None) == (None, True)
    keys.use(keys.live, f"sk_test_{status}")
    assert stripe_account.check() is not None
    assert scenario.subscription is None


def test_what_was_deleted_at_the_dashboard_is_made_anew(scenario: StripeScenario) -> None:
    scenario.buy_pack()
    store = scenario.sandbox.running.sandbox.store
    pack, plan = scenario.pack(), scenario.plan("Plus")
    scenario.work()
    store.get("price", scenario.pack().stripe_price_id)["active"] = False
    store.remove("customer", scenario.account.stripe_customer_id)
    store.get("product", scenario.plan("Plus").stripe_product_id)["active"] = False
    assert checkout.buy_pack(scenario.actor, checkout.PackOrder(pack))
    assert subscriptions.subscribe(scenario.actor, subscriptions.PlanOrder(plan))
    assert scenario.buy_pack().state == "paid"
    assert scenario.last(Payment).account_id == scenario.account_id
