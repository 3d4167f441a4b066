"""What is set at Stripe's dashboard or portal beside prices and items: followed, told, and in nobody's way."""

from datetime import timedelta
from typing import Any

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import next_refill
from app.models.billing.payment import Payment
from app.payments import reconciliation, subscriptions
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def set_at_stripe(scenario: StripeScenario, **wanted: Any) -> None:
    subscription_id = scenario.subscription.stripe_id
    scenario.sandbox.client.v1.subscriptions.update(subscription_id, wanted)
    scenario.deliver()


def test_a_cancel_in_the_portal_names_the_moment_alone_and_one_in_some_months_is_told(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    set_at_stripe(scenario, cancel_at=int(subscription.period_end.timestamp()))
    assert scenario.subscription.cancel_at_period_end
    assert scenario.subscription.review_note == ""
    assert scenario.mails()[-1] == "subscription_cancelled"
    assert list(reconciliation.reconcile()) == []

    subscriptions.resume(scenario.actor)
    assert not scenario.subscription.cancel_at_period_end
    set_at_stripe(scenario, cancel_at=int(scenario.subscription.period_end.timestamp()) + 40 * 86400)
    assert not scenario.subscription.cancel_at_period_end
    assert scenario.subscription.review_note.startswith("it ends on 20")
    scenario.renew()
    assert scenario.kinds().count("refill") == 2
    scenario.renew()
    assert scenario.subscription.cancel_at_period_end
    scenario.advance(31)
    assert scenario.account.plan.name == "Free"
    assert scenario.is_explained()


def test_a_scheduled_change_that_is_edited_there_is_shown(scenario: StripeScenario) -> None:
    scenario.subscribe("Pro")
    scenario.change("Plus")
    schedules, known = scenario.sandbox.client.v1.subscription_schedules, str(scenario.subscription.stripe_schedule_id)
    now = schedules.retrieve(known).phases[0]
    later: Any = {"items": [{"price": str(scenario.plan("Starter").stripe_price_id), "quantity": 1}]}
    later["duration"] = {"interval": "month", "interval_count": 1}
    kept = {"items": [{"price": str(now["items"][0].price), "quantity": 1}]}
    phases: Any = [kept | {"start_date": now.start_date, "end_date": now.end_date}, later]
    schedules.update(known, {"phases": phases})
    scenario.deliver()
    assert (scenario.subscription.pending_plan.name, scenario.subscription.next_cents) == ("Starter", 1000)


def test_an_invoice_that_is_voided_there_is_no_longer_to_be_paid(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.sandbox.control("card", payment_method=scenario.subscription.card_id, behaviour="decline")
    page = scenario.change("Pro")
    scenario.sandbox.client.v1.invoices.void_invoice(str(page).rsplit("/", 1)[1])
    scenario.deliver()
    assert scenario.subscription.pay_url is None


def test_a_pause_a_credit_and_another_price_of_the_plan_are_followed_one_after_the_other(
    scenario: StripeScenario,
) -> None:
    scenario.subscribe("Plus")
    scenario.use_allowance(400)
    collection_is_paused(scenario)
    add_credit(scenario, -500)
    set_at_stripe(scenario, pause_collection="")
    assert scenario.subscription.review_note == ""
    scenario.renew()
    assert (scenario.allowance, scenario.kinds().count("refill")) == (10_000, 2)
    paid = scenario.last_payment("invoice")
    assert (paid.price_cents, paid.worth_nanos) == (1500, scenario.plan("Plus").allowance_nanos)
    assert paid.review_reason == "Sorry takes 500 cents off; the worth stays whole"
    assert list(reconciliation.reconcile()) == []
    is_at_its_sale_price(scenario)
    scenario.renew()
    paid = scenario.last_payment("invoice")
    assert (paid.state, paid.price_cents, scenario.kinds().count("refill")) == ("paid", 1500, 3)
    assert scenario.is_explained()


def collection_is_paused(scenario: StripeScenario) -> None:
    """A renewal gives nothing meanwhile."""
    set_at_stripe(scenario, pause_collection={"behavior": "mark_uncollectible"})
    assert "collection is paused" in scenario.subscription.review_note
    scenario.renew()
    assert (scenario.allowance, scenario.kinds().count("refill")) == (9_600, 1)


def add_credit(scenario: StripeScenario, cents: int) -> None:
    credit: Any = {"customer": scenario.account.stripe_customer_id, "amount": cents, "currency": "usd"}
    scenario.sandbox.client.v1.invoice_items.create(credit | {"description": "Sorry"})


def is_at_its_sale_price(scenario: StripeScenario) -> None:
    """Our item gets it without a proration."""
    scenario.plan("Plus").sale_price_cents, scenario.plan("Plus").sale_ends_at = 1500, utcnow() + timedelta(days=3)
    db.session.commit()
    scenario.publish("Plus")
    item = {"id": scenario.subscription.stripe_item_id, "price": scenario.plan("Plus").stripe_sale_price_id}
    set_at_stripe(scenario, items=[item], proration_behavior="none")
    assert (scenario.subscription.price_cents, scenario.subscription.review_note) == (1500, "")


def test_refunds_of_the_second_payment_of_an_invoice_count_heard_of_or_not(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    invoice = scenario.last_payment("invoice")
    intent = second_payment(scenario, invoice, 500)
    scenario.sandbox.client.v1.refunds.create({"payment_intent": intent, "amount": 200})
    scenario.deliver()
    assert scenario.last_payment("invoice").refunded_cents == 200
    assert (scenario.allowance, list(reconciliation.reconcile())) == (9_000, [])
    scenario.sandbox.client.v1.refunds.create({"payment_intent": intent, "amount": 300})
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}
    assert len(list(reconciliation.reconcile())) == 1
    assert (scenario.allowance, list(reconciliation.reconcile())) == (7_500, [])
    scenario.refund(invoice, 500)
    assert scenario.allowance == 5_000
    assert scenario.is_explained()


def second_payment(scenario: StripeScenario, invoice: Payment, cents: int) -> str:
    """Part of an invoice is paid by another card, as its page offers."""
    wanted: Any = {
        "amount": cents, "currency": "usd", "customer": scenario.account.stripe_customer_id, "confirm": True,
        "payment_method": "pm_card_visa", "return_url": "http://127.0.0.1/",
    }  # fmt: skip
    store = scenario.sandbox.running.sandbox
    intent = scenario.sandbox.client.v1.payment_intents.create(wanted)
    named = {"payment_intent": intent.id, "type": "payment_intent"}
    store.make(
        "invoice_payment",
        invoice=invoice.stripe_invoice_id,
        payment=named,
        amount_requested=cents,
        currency="usd",
        status="paid",
    )
    scenario.deliver()
    return str(intent.id)


def test_a_dispute_that_was_prevented_has_taken_the_money(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.dispute(payment, "inquiry")
    assert scenario.credits == 5_000
    dispute = scenario.sandbox.running.sandbox.store.all("dispute")[0]
    scenario.sandbox.running.sandbox.change(dispute, "charge.dispute.closed", status="prevented")
    scenario.deliver()
    assert scenario.credits == 0
    assert "dispute" in scenario.account.frozen_by
    assert scenario.is_explained()


def to_plan(scenario: StripeScenario, name: str, **wanted: Any) -> None:
    """Another price for our item, as the dashboard changes it."""
    scenario.publish(name)
    item = {"id": scenario.subscription.stripe_item_id, "price": scenario.plan(name).stripe_price_id}
    set_at_stripe(scenario, items=[item], **wanted)


def test_a_change_that_is_prorated_onto_the_next_invoice_is_worth_what_it_sold(
    scenario: StripeScenario,
) -> None:
    scenario.subscribe("Plus")
    scenario.use_allowance(400)
    to_plan(scenario, "Pro", proration_behavior="create_prorations")
    assert (scenario.account.plan.name, scenario.allowance) == ("Pro", 9_600)
    scenario.renew()
    paid = scenario.last_payment("invoice")
    assert (paid.total_cents, scenario.kinds()[-2:]) == (18_000, ["refill", "plan_change"])
    assert scenario.allowance == paid.worth_nanos // CREDIT in (99_999, 100_000)
    scenario.refund(paid, 9_000)
    assert scenario.allowance in (49_999, 50_000)

    to_plan(scenario, "Plus", proration_behavior="always_invoice")
    assert "cents came back for a change at Stripe" in scenario.last_payment("invoice").review_reason
    scenario.renew()
    assert scenario.allowance == 10_000
    assert scenario.is_explained()


def test_a_prorated_change_is_worth_the_part_of_its_period_that_was_left(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    scenario.advance((subscription.period_end - subscription.period_start).total_seconds() * 3 / 4 / 86400)
    to_plan(scenario, "Pro", proration_behavior="create_prorations")
    scenario.renew()
    assert scenario.last_payment("invoice").total_cents == 12_000
    assert scenario.allowance in range(55_000 + 11_248, 55_000 + 11_251)


def test_what_is_paid_elsewhere_is_worth_the_same(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    v1 = scenario.sandbox.client.v1
    for card in v1.payment_methods.list({"customer": scenario.account.stripe_customer_id}).data:
        v1.payment_methods.detach(card.id)
    scenario.renew()
    assert scenario.subscription.status == "past_due"
    v1.invoices.pay(v1.invoices.list({"status": "open"}).data[0].id, {"paid_out_of_band": True})
    scenario.deliver()
    assert (scenario.subscription.status, scenario.kinds().count("refill")) == ("active", 2)
    assert list(reconciliation.reconcile()) == []


def test_after_an_invoice_that_was_written_off_the_next_one_refills(scenario: StripeScenario) -> None:
    scenario.subscribe("Pro", card="fails_later")
    v1 = scenario.sandbox.client.v1
    for end in ("void_invoice", "mark_uncollectible"):
        scenario.renew()
        begun = scenario.subscription.period_start
        late = begun + timedelta(days=2)
        assert next_refill(scenario.account, late).at is None
        getattr(v1.invoices, end)(v1.invoices.list({"status": "open"}).data[0].id)
        scenario.sandbox.running.sandbox.store.all("subscription")[0]["status"] = "active"
        scenario.receive("customer.subscription.updated", {"id": scenario.subscription.stripe_id})
        assert (end, next_refill(scenario.account, late).at) == (end, scenario.subscription.period_end)
        assert next_refill(scenario.account, begun + timedelta(minutes=30)).at is None
    scenario.subscription.pending_plan_id = scenario.plan("Plus").id
    scenario.commit()
    assert next_refill(scenario.account, late).plan.name == "Plus"


def test_two_plans_and_a_quantity_of_none_are_told(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    item = scenario.subscription.stripe_item_id
    set_at_stripe(scenario, items=[{"id": item, "quantity": 0}], proration_behavior="none")
    assert scenario.subscription.review_note == "quantity 0 at Stripe"
    scenario.publish("Pro")
    second = {"price": scenario.plan("Pro").stripe_price_id}
    set_at_stripe(scenario, items=[{"id": item, "quantity": 1}, second], proration_behavior="none")
    assert scenario.subscription.review_note == "Plus and Pro at Stripe; Plus counts"


def test_one_that_was_backdated_at_the_dashboard_is_told_once_and_gives_nothing(
    scenario: StripeScenario,
) -> None:
    scenario.buy_pack()
    scenario.publish("Plus")
    customer, price = scenario.account.stripe_customer_id, scenario.plan("Plus").stripe_price_id
    scenario.sandbox.control("method", customer=customer, card="success")
    since = int((utcnow() - timedelta(days=20)).timestamp())
    wanted: Any = {"customer": customer, "items": [{"price": price}], "backdate_start_date": since}
    scenario.sandbox.client.v1.subscriptions.create(wanted)
    scenario.deliver()
    assert all("was not begun here" in str(event.error) for event in scenario.events("parked"))
    list(reconciliation.reconcile())
    assert list(reconciliation.reconcile()) == []
    assert (scenario.allowance, scenario.credits, scenario.subscription) == (0, 5_000, None)
    assert scenario.is_explained()
