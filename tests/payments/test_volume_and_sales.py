"""Volume, any amount, recharges up to a target, and sale prices, from the form to the ledger."""

import re
from datetime import timedelta
from typing import Any

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.catalog.pack_tier import fault_of
from app.models.catalog.promotion_code import PromotionCode
from app.models.metering.refusal import InvalidRequest
from app.payments import auto_recharge_settings, checkout
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def with_tiers(scenario: StripeScenario, **margins: int) -> Any:
    pack = scenario.pack()
    pack.volume = [[int(one[1:]), bps] for one, bps in margins.items()]
    db.session.commit()
    return pack


def test_the_tier_that_is_reached_is_that_of_the_whole_purchase(scenario: StripeScenario) -> None:
    with_tiers(scenario, q10=4500, q50=4000)
    worth = [scenario.pack().quote(quantity).worth_nanos // CREDIT for quantity in (1, 9, 10, 49, 50)]
    assert worth == [5000, 45_000, 55_000, 269_500, 300_000]
    payment = scenario.buy_pack(quantity=10)
    assert (payment.price_cents, scenario.credits) == (10_000, 55_000)
    scenario.refund(payment, 5000)
    assert scenario.credits == 27_500


@pytest.mark.parametrize("margins", [{"q10": 5501}, {"q2": 7500}, {"q2": 4000, "q3": 6000}])
def test_more_that_would_be_worth_no_more_is_a_fault(scenario: StripeScenario, margins: dict[str, int]) -> None:
    assert "would be worth no more" in (fault_of(with_tiers(scenario, **margins)) or "")


def test_a_code_below_the_floor_at_a_tier_is_refused_for_it(scenario: StripeScenario) -> None:
    with_tiers(scenario, q10=1000)
    db.session.add(PromotionCode(code="SAVE", kind="discount", percent_bps=2000))
    db.session.commit()
    with pytest.raises(InvalidRequest):
        scenario.begin_pack(quantity=10, code="SAVE")
    assert scenario.buy_pack(quantity=9, code="SAVE").price_cents == 7200


def any_amount(scenario: StripeScenario) -> Any:
    pack = scenario.pack()
    pack.is_any_amount = True
    db.session.commit()
    return pack


def test_any_amount_is_sold_at_the_packs_margin_within_the_bounds(scenario: StripeScenario) -> None:
    order = checkout.PackOrder(any_amount(scenario), amount_cents=1234)
    scenario.sandbox.pay(checkout.buy_pack(scenario.actor, order).rsplit("/", 1)[1])
    scenario.deliver()
    assert (scenario.last(Payment).price_cents, scenario.credits) == (1234, 6170)
    for wrong in (499, 50_001):
        with pytest.raises(InvalidRequest, match=r"between 5\.00 USD and 500\.00 USD"):
            checkout.buy_pack(scenario.actor, checkout.PackOrder(scenario.pack(), amount_cents=wrong))
    with pytest.raises(InvalidRequest, match="has a price"):
        checkout.buy_pack(scenario.actor, checkout.PackOrder(scenario.pack(2500), amount_cents=1000))


@pytest.mark.parametrize(("is_any", "charged", "credits"), [(True, 1400, 7000), (False, 2000, 10_000)])
def test_a_recharge_goes_up_to_its_target(scenario: StripeScenario, is_any: bool, charged: int, credits: int) -> None:
    scenario.turn_on_recharge(below=1000, most=1000)
    scenario.work()
    scenario.spend(5000)
    pack = any_amount(scenario) if is_any else scenario.pack()
    options = auto_recharge_settings.RechargeOptions(str(pack.id), 1, 1000 * CREDIT, 10_000, 7000 * CREDIT)
    auto_recharge_settings.turn_on(scenario.actor, options)
    scenario.work()
    assert (scenario.last(Payment).price_cents, scenario.credits) == (charged, credits)


def test_a_target_below_the_threshold_is_refused(scenario: StripeScenario) -> None:
    options = auto_recharge_settings.RechargeOptions(str(scenario.pack().id), 1, CREDIT, 10_000, CREDIT)
    with pytest.raises(InvalidRequest, match="target_credits"):
        auto_recharge_settings.turn_on(scenario.actor, options)


def put_on_sale(scenario: StripeScenario, name: str, cents: int) -> None:
    plan = scenario.plan(name)
    plan.sale_price_cents, plan.sale_ends_at = cents, utcnow() + timedelta(days=3)
    db.session.commit()


def test_who_subscribes_in_a_sale_stays_at_its_price(scenario: StripeScenario, customer: CustomerClient) -> None:
    before = StripeScenario(scenario.sandbox, "bob")
    before.subscribe("Plus")
    put_on_sale(scenario, "Plus", 1500)
    scenario.subscribe("Plus")
    paid = scenario.last_payment("invoice")
    assert (paid.price_cents, paid.total_cents, scenario.allowance) == (1500, 1500, 10_000)
    scenario.plan("Plus").sale_ends_at = utcnow()
    db.session.commit()
    assert re.search(r"Next invoice</dt>\s*<dd>.*, \$15\.00</dd>", customer.page("/billing").text)
    scenario.renew()
    before.deliver()
    assert [one.last_payment("invoice").price_cents for one in (scenario, before)] == [1500, 2000]
    later = StripeScenario(scenario.sandbox, "eve").begin_plan("Plus")
    assert scenario.sandbox.running.sandbox.store.get("checkout.session", later)["amount_total"] == 2000


def test_a_change_that_began_in_a_sale_is_at_its_price_once_the_sale_is_over(
    scenario: StripeScenario, customer: CustomerClient
) -> None:
    scenario.subscribe("Pro")
    put_on_sale(scenario, "Plus", 1500)
    scenario.change("Plus")
    scenario.plan("Plus").sale_price_cents = scenario.plan("Plus").sale_ends_at = None
    db.session.commit()
    scenario.publish("Plus")
    scenario.receive("customer.subscription.updated", {"id": str(scenario.subscription.stripe_id)})
    assert customer.page("/billing").text.count("$15") == 2
    scenario.renew()
    paid = scenario.last_payment("invoice")
    assert (scenario.subscription.price_cents, paid.state, paid.price_cents) == (1500, "paid", 1500)
    assert (scenario.allowance, paid.review_reason, scenario.is_explained()) == (10_000, "", True)


def test_an_upgrade_in_a_sale_is_at_the_sale_price_that_was_seen(
    scenario: StripeScenario, customer: CustomerClient
) -> None:
    scenario.subscribe("Plus")
    path = f"/billing/change/{scenario.plan('Pro').id}"
    seen = re.findall('name="price_cents" value="([0-9]+)"', customer.page(path).text)
    put_on_sale(scenario, "Pro", 8000)
    assert customer.form(path, price_cents=seen).location == path
    assert "just changed" in customer.page(path).text
    assert scenario.subscription.plan.name == "Plus"
    assert customer.form(path, price_cents="8000").location == "/billing"
    scenario.deliver()
    subscription = scenario.subscription
    assert subscription is not None
    assert (subscription.plan.name, subscription.price_cents) == ("Pro", 8000)
    scenario.renew()
    assert (scenario.last_payment("invoice").price_cents, scenario.allowance) == (8000, 55_000)
