"""Packs: bought by checkout, credited once, at the worth of the moment they were begun."""

import random

import pytest

from app.extensions import db
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.catalog.promotion_code import PromotionCode
from app.stripe_api.mapping import label_of
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def test_a_pack_is_credited_when_it_is_paid_and_its_terms_are_locked(scenario: StripeScenario) -> None:
    assert scenario.pack().terms_locked_at is None
    scenario.buy_pack()
    assert scenario.credits == 5000
    assert scenario.kinds() == ["purchase"]
    assert scenario.pack().terms_locked_at
    assert AutoRecharge.of(scenario.account_id) is None
    assert scenario.is_explained()


def test_price_and_worth_are_fixed_when_the_checkout_begins_also_of_a_pack_that_is_retired(
    scenario: StripeScenario,
) -> None:
    session_id, pack = scenario.begin_pack(), scenario.pack()
    pack.price_cents, pack.margin_bps = 1500, 9000
    scenario.commit()
    scenario.work()
    pack.status = "inactive"
    scenario.commit()
    scenario.sandbox.pay(session_id)
    scenario.deliver()
    assert (scenario.credits, scenario.last(Payment).price_cents) == (5000, 1000)


def test_events_told_thrice_and_in_any_order_credit_once(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.deliver(random.Random(7), times=3)  # noqa: S311
    assert (scenario.kinds(), scenario.mails()) == (["purchase"], ["receipt"])


def test_a_bank_debit_is_credited_when_the_bank_has_paid(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack(card="pays_later")
    assert (scenario.credits, payment.state) == (0, "processing")
    scenario.advance(4)
    assert scenario.credits == 5000


def test_a_bank_debit_that_fails_credits_nothing(scenario: StripeScenario) -> None:
    scenario.buy_pack(card="fails_days_later")
    scenario.advance(4)
    assert (scenario.credits, scenario.last(Payment).state) == (0, "failed")
    assert scenario.mails() == ["debit_begun", "debit_failed"]


def test_a_checkout_that_was_declined_gives_nothing_and_is_over_once_it_expires(scenario: StripeScenario) -> None:
    db.session.add(PromotionCode(code="LAST", kind="discount", percent_bps=1000, most_redemptions=1))
    db.session.commit()
    scenario.buy_pack(card="decline", code="LAST")
    assert (scenario.credits, scenario.last(Payment).state) == (0, "open")
    scenario.sandbox.client.v1.checkout.sessions.expire(scenario.begin_pack(code="LAST"))
    scenario.deliver()
    assert (scenario.last(Payment).state, scenario.credits) == ("canceled", 0)
    assert scenario.buy_pack(code="LAST").price_cents == 900


def test_what_is_made_at_stripe_names_its_account_and_row_and_its_papers_are_kept(scenario: StripeScenario) -> None:
    pack, made = scenario.buy_pack(), scenario.sandbox.running.sandbox.store
    labels = {"account_id": str(scenario.account_id), "payment_id": str(pack.id)}
    assert made.all("payment_intent")[0]["metadata"] == labels
    assert made.all("checkout.session")[0]["metadata"] == labels
    assert made.all("customer")[0]["metadata"] == {"account_id": str(scenario.account_id)}
    scenario.subscribe("Plus")
    plan = scenario.last(Payment)
    assert (pack.method, plan.method) == ("Visa ending in 4242", "Visa ending in 4242")
    assert "/receipts/" in (pack.page_url or "")
    assert (plan.pdf_url or "").endswith("/pdf")


@pytest.mark.parametrize(
    ("kind", "face", "label"),
    [
        ("card", {"brand": "amex", "last4": "0005"}, "Amex ending in 0005"),
        ("us_bank_account", {"last4": "6789"}, "US Bank Account ending in 6789"),
        ("sepa_debit", {"last4": "3000"}, "Sepa Debit ending in 3000"),
        ("paypal", {}, "Paypal"),
    ],
)
def test_a_means_of_payment_is_named(kind: str, face: dict[str, str], label: str) -> None:
    assert label_of({"type": kind, kind: face}) == label
