"""Subscriptions: begun, renewed when the clock moves, tried again, ended; trials and authentication."""

import pytest
import stripe

from tests.sandbox.conftest import Shop
from tests.support.webhook_inbox import WebhookInbox

DAY = 86400
MONTH = 31 * DAY


def latest_invoice(shop: Shop, subscription: stripe.Subscription) -> stripe.Invoice:
    result = shop.subscription(subscription).latest_invoice
    assert isinstance(result, stripe.Invoice)
    return result


def status_of(shop: Shop, subscription: stripe.Subscription) -> str:
    return str(shop.api.subscriptions.retrieve(subscription.id).status)


@pytest.fixture
def running(shop: Shop) -> stripe.Subscription:
    shop.save_card()
    return shop.subscribe()


def test_the_first_invoice_is_paid_by_the_saved_card(shop: Shop, running: stripe.Subscription) -> None:
    invoice = latest_invoice(shop, running)
    assert (running.status, invoice.status, invoice.amount_paid) == ("active", "paid", 2000)
    assert invoice.billing_reason == "subscription_create"


def test_the_fields_are_where_todays_stripe_has_them(shop: Shop, running: stripe.Subscription) -> None:
    invoice = latest_invoice(shop, running)
    line = invoice.lines.data[0]
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == running.id
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    assert line.pricing.price_details.price == shop.prices["plus"].id
    assert invoice.payments is not None
    assert invoice.payments.data[0].payment.payment_intent is not None
    assert running["items"].data[0].current_period_end > running.created


def test_without_a_card_a_subscription_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.subscribe()
    assert caught.value.code == "resource_missing"
    assert shop.api.subscriptions.list({"status": "all"}).data == []


@pytest.mark.parametrize("card", ["fails_later", "authentication_always"])
def test_a_first_payment_that_fails_leaves_it_incomplete(shop: Shop, card: str) -> None:
    shop.save_card(card)
    subscription = shop.subscribe(off_session=True)
    assert (subscription.status, latest_invoice(shop, subscription).status) == ("incomplete", "open")


def test_error_if_incomplete_leaves_nothing(shop: Shop) -> None:
    shop.save_card("fails_later")
    with pytest.raises(stripe.CardError):
        shop.subscribe(off_session=True, payment_behavior="error_if_incomplete")
    assert shop.api.subscriptions.list({"status": "all"}).data == []


def test_an_incomplete_one_begins_when_its_invoice_is_paid(shop: Shop) -> None:
    shop.save_card("authentication_always")
    subscription = shop.subscribe()
    payments = latest_invoice(shop, subscription).payments
    assert payments is not None
    shop.sandbox.control("payment", payment_intent=payments.data[0].payment.payment_intent, action="complete")
    assert status_of(shop, subscription) == "active"


def test_an_incomplete_one_expires_after_23_hours(shop: Shop) -> None:
    shop.save_card("authentication_always")
    subscription = shop.subscribe()
    shop.sandbox.advance(23 * 3600 + 1)
    assert (status_of(shop, subscription), latest_invoice(shop, subscription).status) == (
        "incomplete_expired",
        "void",
    )


def test_default_incomplete_waits_for_a_card(shop: Shop) -> None:
    subscription = shop.subscribe(payment_behavior="default_incomplete")
    assert subscription.status == "incomplete"
    shop.api.invoices.pay(str(subscription.latest_invoice), {"payment_method": "pm_card_visa"})
    assert status_of(shop, subscription) == "active"


def test_it_renews_when_the_clock_reaches_the_end_of_the_period(shop: Shop, running: stripe.Subscription) -> None:
    end = running["items"].data[0].current_period_end
    shop.sandbox.control("clock", to="next_renewal")
    renewed = shop.subscription(running)
    assert renewed["items"].data[0].current_period_start == end
    invoice = latest_invoice(shop, running)
    assert (invoice.billing_reason, invoice.status, invoice.created) == ("subscription_cycle", "paid", end)


def test_a_year_of_months_is_twelve_renewals(shop: Shop, running: stripe.Subscription) -> None:
    shop.sandbox.advance(366 * DAY)
    invoices = shop.api.invoices.list({"subscription": running.id, "limit": 100}).data
    assert len(invoices) == 13


def test_a_yearly_one_is_billed_once_a_year(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("yearly")
    shop.sandbox.advance(366 * DAY)
    assert [one.amount_due for one in shop.api.invoices.list({"subscription": subscription.id}).data] == [
        20000,
        20000,
    ]


def test_events_of_a_renewal_come_in_stripes_order(
    shop: Shop, running: stripe.Subscription, inbox: WebhookInbox
) -> None:
    shop.sandbox.wait_until_idle()
    inbox.events.clear()
    shop.sandbox.control("clock", to="next_renewal")
    shop.sandbox.wait_until_idle()
    assert inbox.types() == [
        "customer.subscription.updated",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


@pytest.fixture
def overdue(shop: Shop, running: stripe.Subscription) -> stripe.Subscription:
    card = shop.api.payment_methods.list({"customer": shop.customer.id}).data[0]
    shop.sandbox.control("card", payment_method=card.id, behaviour="decline")
    shop.sandbox.control("clock", to="next_renewal")
    return running


def test_a_renewal_that_does_not_pay_is_past_due(shop: Shop, overdue: stripe.Subscription, inbox: WebhookInbox) -> None:
    invoice = latest_invoice(shop, overdue)
    shop.sandbox.wait_until_idle()
    assert (status_of(shop, overdue), invoice.status) == ("past_due", "open")
    assert invoice.next_payment_attempt == invoice.created + DAY
    assert "invoice.payment_failed" in inbox.types()


def test_it_is_tried_again_and_recovers_with_a_card_that_pays(shop: Shop, overdue: stripe.Subscription) -> None:
    shop.save_card()
    shop.sandbox.advance(DAY + 60)
    assert (status_of(shop, overdue), latest_invoice(shop, overdue).attempt_count) == ("active", 2)


@pytest.mark.parametrize(
    ("setting", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
def test_after_the_last_try_the_setting_decides(
    shop: Shop, overdue: stripe.Subscription, setting: str, status: str
) -> None:
    shop.sandbox.control("settings", after_dunning=setting)
    shop.sandbox.advance(5 * DAY + 60)
    assert (status_of(shop, overdue), latest_invoice(shop, overdue).attempt_count) == (status, 4)


def test_the_hosted_invoice_page_mends_it(shop: Shop, overdue: stripe.Subscription) -> None:
    shop.sandbox.post(f"/invoice/{latest_invoice(shop, overdue).id}/pay", card="success")
    mended = shop.subscription(overdue)
    assert (mended.status, mended.default_payment_method is None) == ("active", False)


def test_a_renewal_that_wants_authentication_says_so(
    shop: Shop, running: stripe.Subscription, inbox: WebhookInbox
) -> None:
    shop.save_card("authentication_always")
    shop.sandbox.control("clock", to="next_renewal")
    payments = latest_invoice(shop, running).payments
    assert payments is not None
    intent = str(payments.data[0].payment.payment_intent)
    shop.sandbox.wait_until_idle()
    assert {"invoice.payment_action_required", "payment_intent.requires_action"} < set(inbox.types())
    assert status_of(shop, running) == "past_due"
    assert shop.api.payment_intents.retrieve(intent).status == "requires_action"
    shop.sandbox.post(f"/authenticate/{intent}", outcome="complete")
    assert status_of(shop, running) == "active"


def test_paying_an_invoice_with_a_declined_card_is_a_402(shop: Shop, overdue: stripe.Subscription) -> None:
    with pytest.raises(stripe.CardError):
        shop.api.invoices.pay(str(latest_invoice(shop, overdue).id))


def test_cancelling_at_the_periods_end_ends_it_there(
    shop: Shop, running: stripe.Subscription, inbox: WebhookInbox
) -> None:
    leaving = shop.api.subscriptions.update(running.id, {"cancel_at_period_end": True})
    assert (leaving.status, leaving.cancel_at) == ("active", running["items"].data[0].current_period_end)
    shop.sandbox.control("clock", to="next_renewal")
    shop.sandbox.wait_until_idle()
    assert status_of(shop, running) == "canceled"
    assert inbox.types()[-1] == "customer.subscription.deleted"
    assert len(shop.api.invoices.list({"subscription": running.id}).data) == 1


def test_a_cancel_can_be_taken_back(shop: Shop, running: stripe.Subscription) -> None:
    shop.api.subscriptions.update(running.id, {"cancel_at_period_end": True})
    kept = shop.api.subscriptions.update(running.id, {"cancel_at_period_end": False})
    assert (kept.cancel_at_period_end, kept.cancel_at) == (False, None)
    shop.sandbox.control("clock", to="next_renewal")
    assert status_of(shop, running) == "active"


def test_cancelling_at_once_ends_it_now(shop: Shop, running: stripe.Subscription) -> None:
    ended = shop.api.subscriptions.cancel(running.id)
    assert (ended.status, ended.ended_at is None) == ("canceled", False)
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.subscriptions.cancel(running.id)


def test_deleting_the_customer_ends_it(shop: Shop, running: stripe.Subscription, inbox: WebhookInbox) -> None:
    shop.api.customers.delete(shop.customer.id)
    shop.sandbox.wait_until_idle()
    assert status_of(shop, running) == "canceled"
    assert {"customer.deleted", "customer.subscription.deleted", "payment_method.detached"} < set(inbox.types())


def test_a_trial_is_noticed_three_days_before_and_then_paid(shop: Shop, inbox: WebhookInbox) -> None:
    shop.save_card()
    subscription = shop.subscribe(trial_period_days=14)
    shop.sandbox.advance(11 * DAY + 60)
    shop.sandbox.wait_until_idle()
    assert inbox.types()[-1] == "customer.subscription.trial_will_end"
    shop.sandbox.advance(3 * DAY)
    invoice = latest_invoice(shop, subscription)
    assert (status_of(shop, subscription), invoice.amount_paid) == ("active", 2000)


@pytest.mark.parametrize(
    ("missing", "status"), [("cancel", "canceled"), ("pause", "paused"), ("create_invoice", "past_due")]
)
def test_a_trial_without_a_card_ends_as_it_was_set(shop: Shop, missing: str, status: str) -> None:
    settings = {"end_behavior": {"missing_payment_method": missing}}
    subscription = shop.subscribe(trial_period_days=7, trial_settings=settings)
    shop.sandbox.advance(7 * DAY + 60)
    assert status_of(shop, subscription) == status


def test_a_paused_one_is_resumed_with_a_card(shop: Shop, inbox: WebhookInbox) -> None:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = shop.subscribe(trial_period_days=7, trial_settings=settings)
    shop.sandbox.advance(7 * DAY + 60)
    shop.save_card()
    shop.api.subscriptions.resume(subscription.id)
    shop.sandbox.wait_until_idle()
    assert status_of(shop, subscription) == "active"
    assert {"customer.subscription.paused", "customer.subscription.resumed"} < set(inbox.types())


def test_a_trial_can_be_ended_now(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe(trial_period_days=7)
    ended = shop.api.subscriptions.update(subscription.id, {"trial_end": "now"})
    assert (ended.status, latest_invoice(shop, subscription).amount_paid) == ("active", 2000)


def test_any_status_can_be_set_by_the_control(shop: Shop, running: stripe.Subscription) -> None:
    shop.sandbox.control("subscription", subscription=running.id, status="unpaid")
    assert status_of(shop, running) == "unpaid"


def test_lists_leave_out_what_was_canceled_unless_asked(shop: Shop, running: stripe.Subscription) -> None:
    shop.api.subscriptions.cancel(running.id)
    assert shop.api.subscriptions.list({"customer": shop.customer.id}).data == []
    assert len(shop.api.subscriptions.list({"customer": shop.customer.id, "status": "all"}).data) == 1
