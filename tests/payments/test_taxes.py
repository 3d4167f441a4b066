"""Stripe Tax: on top of prices or within them, and what is bought then; 20 % in the sandbox."""

import random
from typing import Any

import pytest
import time_machine

from app.extensions import db
from app.mail_message import compose
from app.mailer import completed
from app.models.base import utcnow
from app.models.billing.allowance_refill import next_refill
from app.models.billing.auto_recharge import is_being_paid
from app.models.billing.payment import Payment
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.setting import Setting
from app.models.metering.member_limit import next_month
from app.models.operations.outbox import OutgoingMail
from app.payments import auto_recharge, checkout, subscriptions
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def collect(behavior: str) -> None:
    Setting.put("automatic_tax", True)
    Setting.put("tax_behavior", behavior)
    db.session.commit()
    Setting.forget()


@pytest.mark.parametrize(
    ("behavior", "asked", "tax", "worth", "seed"),
    [("exclusive", 1200, 200, 5000, 1), ("inclusive", 1000, 167, 4165, 2)],
)
def test_a_pack_is_worth_its_net_whatever_is_heard_first(
    scenario: StripeScenario, behavior: str, asked: int, tax: int, worth: int, seed: int
) -> None:
    collect(behavior)
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.deliver(random.Random(seed), times=2)  # noqa: S311
    payment = scenario.last(Payment)
    assert (payment.state, payment.price_cents, payment.total_cents) == ("paid", asked, asked)
    assert (payment.tax_cents, scenario.credits) == (tax, worth)
    scenario.refund(payment, asked // 2)
    assert scenario.account.credits_nanos == payment.worth_nanos - payment.worth_nanos // 2
    assert scenario.is_explained()


@pytest.mark.parametrize(("behavior", "asked", "worth"), [("exclusive", 2400, 10_000), ("inclusive", 2000, 8335)])
def test_a_plan_refills_by_its_net_and_an_upgrade_grows_as_it_was_shown(
    scenario: StripeScenario, customer: CustomerClient, behavior: str, asked: int, worth: int
) -> None:
    collect(behavior)
    scenario.subscribe("Plus")
    note = {"exclusive": "plus tax", "inclusive": "including tax"}[behavior]
    assert f", $20.00, {note}</dd>" in customer.page("/billing").text
    paid = scenario.last_payment("invoice")
    assert (paid.total_cents, scenario.allowance) == (asked, worth)
    preview = subscriptions.preview(scenario.actor, scenario.plan("Pro"))
    shown = preview.grows_nanos
    scenario.change("Pro")
    comes = next_refill(scenario.account, utcnow())
    grown = scenario.account.allowance_nanos - worth * CREDIT
    rest = scenario.plan("Pro").allowance_nanos - 10_000 * CREDIT
    assert shown > rest // 5 * 4
    assert abs(grown - shown) <= shown // 1000
    scenario.renew()
    assert scenario.allowance == (55_000 if behavior == "exclusive" else 45_831)
    given = scenario.account.allowance_nanos
    assert [preview.monthly_nanos, comes.amount] == pytest.approx([given, given], rel=0.001)
    assert scenario.is_explained()


def test_a_mail_of_a_plan_to_come_says_that_tax_is_added(scenario: StripeScenario) -> None:
    collect("exclusive")
    scenario.subscribe("Pro")
    scenario.change("Plus")
    [told] = db.session.query(OutgoingMail).filter_by(template="plan_change_scheduled")
    assert "$20.00 a month plus tax." in compose(told.to, told.template, completed(told) or {}).body


def test_a_discount_and_tax_within_the_price_go_together(scenario: StripeScenario) -> None:
    collect("inclusive")
    db.session.add(PromotionCode(code="SAVE", kind="discount", percent_bps=2000))
    db.session.commit()
    payment = scenario.buy_pack(code="SAVE")
    assert (payment.price_cents, payment.tax_cents, payment.discount_cents) == (800, 133, 200)
    assert payment.worth_nanos == (5000 * CREDIT * 667 * 2 + 800) // 1600


def test_what_stripe_is_told_where_tax_is_collected(scenario: StripeScenario) -> None:
    store = scenario.sandbox.running.sandbox.store
    scenario.buy_pack()
    collect("inclusive")
    scenario.buy_pack()
    checkout.open_portal(scenario.actor)
    checkout.open_portal(scenario.actor)
    assert {one["tax_behavior"] for one in store.all("price")} == {"inclusive", "unspecified"}
    session: dict[str, Any] = store.all("checkout.session")[0]
    assert (session["automatic_tax"]["enabled"], session["tax_id_collection"]["enabled"]) == (True, True)
    portals = store.all("billing_portal.configuration")
    assert [one["features"]["customer_update"]["allowed_updates"] for one in portals] == [["address", "name", "tax_id"]]


def test_auto_recharge_is_taxed_as_a_purchase_is(scenario: StripeScenario) -> None:
    """On top of the price: below."""
    collect("inclusive")
    scenario.turn_on_recharge(below=1000, most=5000)
    scenario.work()
    payment = scenario.last_payment("recharge")
    assert (payment.price_cents, payment.state, scenario.credits) == (1000, "paid", 4165)


def test_tax_does_not_take_auto_recharge_past_its_maximum(scenario: StripeScenario) -> None:
    collect("exclusive")
    scenario.turn_on_recharge(below=1000, most=1199)
    scenario.work()
    assert (scenario.credits, scenario.charges(), scenario.mails()[-1]) == (0, 0, "recharge_limit")
    assert not is_being_paid(scenario.account_id, utcnow())
    auto_recharge.recharge(scenario.account_id)
    assert len(scenario.recharges()) == 1
    scenario.turn_on_recharge(below=1000, most=1200)
    scenario.work()
    payment = scenario.last_payment("recharge")
    assert (payment.price_cents, payment.state, scenario.credits) == (1200, "paid", 5000)
    scenario.spend(5000)
    with time_machine.travel(next_month(utcnow())):
        auto_recharge.recharge(scenario.account_id)
    assert len(scenario.recharges()) == 3
