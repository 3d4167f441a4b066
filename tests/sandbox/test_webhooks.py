"""Webhooks: signed, retried, logged, listed; and with the faults of a real network."""

import pytest
import stripe

from sandbox import webhooks
from tests.sandbox.conftest import Shop
from tests.support.running_sandbox import SECRET
from tests.support.webhook_inbox import WebhookInbox

DAY = 86400
WORTH_A_FUNCTION = {
    "checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed",
    "checkout.session.expired", "customer.subscription.created", "customer.subscription.updated",
    "customer.subscription.deleted", "customer.subscription.trial_will_end", "customer.subscription.paused",
    "customer.subscription.resumed", "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired", "invoice.paid", "invoice.payment_failed",
    "invoice.payment_action_required", "invoice.finalization_failed", "payment_intent.succeeded",
    "payment_intent.payment_failed", "payment_intent.canceled", "charge.refunded", "refund.created", "refund.updated",
    "refund.failed", "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
    "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "payment_method.attached",
    "payment_method.detached", "payment_method.automatically_updated", "setup_intent.succeeded",
    "setup_intent.setup_failed", "customer.updated", "customer.deleted",
}  # fmt: skip


def named(shop: Shop, name: str) -> None:
    shop.api.customers.update(shop.customer.id, {"name": name})


def names(inbox: WebhookInbox) -> list[str]:
    return [event["data"]["object"]["name"] for event in inbox.events if event["type"] == "customer.updated"]


def test_an_event_carries_what_changed_and_which_request_did_it(shop: Shop, inbox: WebhookInbox) -> None:
    shop.api.customers.update(shop.customer.id, {"name": "Ada"}, {"idempotency_key": "rename"})
    shop.sandbox.wait_until_idle()
    event = inbox.events[-1]
    assert event["data"]["previous_attributes"] == {"name": None}
    assert event["request"]["idempotency_key"] == "rename"
    assert (event["livemode"], event["api_version"]) == (False, stripe.api_version)


def test_a_change_of_nothing_makes_no_event(shop: Shop, inbox: WebhookInbox) -> None:
    named(shop, "Ada")
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    assert names(inbox) == ["Ada"]


def test_what_is_not_accepted_is_sent_again(shop: Shop, inbox: WebhookInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_RETRY", 0.05)
    shop.sandbox.wait_until_idle()
    inbox.answers = [500, 503]
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    assert (names(inbox), inbox.answers) == (["Ada"], [])


def test_events_are_listed_newest_first_with_filters(shop: Shop) -> None:
    named(shop, "Ada")
    result = shop.api.events.list({"types": ["customer.updated", "customer.created"]}).data
    assert [event.type for event in result] == ["customer.updated", "customer.created"]
    assert shop.api.events.retrieve(result[0].id).type == "customer.updated"


def test_events_older_than_thirty_days_are_not_listed(shop: Shop) -> None:
    shop.sandbox.advance(31 * DAY)
    assert shop.api.events.list().data == []


def test_a_duplicate_arrives_twice_with_one_id(shop: Shop, inbox: WebhookInbox) -> None:
    shop.sandbox.control("faults", fault="duplicate", type="customer.updated")
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    assert names(inbox) == ["Ada", "Ada"]
    assert len({event["id"] for event in inbox.events if event["type"] == "customer.updated"}) == 1


def test_held_events_come_when_they_are_released(shop: Shop, inbox: WebhookInbox) -> None:
    shop.sandbox.control("faults", fault="hold", type="customer.*", count=9)
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    assert names(inbox) == []
    shop.sandbox.control("faults", release=True)
    shop.sandbox.wait_until_idle()
    assert names(inbox) == ["Ada"]


def test_reordered_events_come_backwards(shop: Shop, inbox: WebhookInbox) -> None:
    shop.sandbox.control("faults", fault="reorder", type="customer.updated", count=3)
    for name in ("a", "b", "c"):
        named(shop, name)
    shop.sandbox.wait_until_idle()
    assert names(inbox) == ["c", "b", "a"]


def test_a_dropped_event_never_comes_and_is_still_listed(shop: Shop, inbox: WebhookInbox) -> None:
    shop.sandbox.control("faults", fault="drop", type="customer.updated")
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    assert names(inbox) == []
    assert len(shop.api.events.list({"type": "customer.updated"}).data) == 1


def test_an_event_can_be_sent_again(shop: Shop, inbox: WebhookInbox) -> None:
    named(shop, "Ada")
    event = shop.api.events.list({"type": "customer.updated"}).data[0]
    shop.sandbox.control("resend", event=event.id)
    shop.sandbox.wait_until_idle()
    assert names(inbox) == ["Ada", "Ada"]


def test_an_endpoint_gets_what_it_asked_for_signed_with_its_own_secret(shop: Shop) -> None:
    wanted = shop.api.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["customer.updated"]})
    assert wanted.secret is not None
    second = WebhookInbox(wanted.secret)
    shop.sandbox.running.sandbox.store.get("webhook_endpoint", wanted.id)["url"] = second.url
    shop.api.customers.create({"email": "bob@example.com"})
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    second.close()
    assert (second.types(), second.broken) == (["customer.updated"], [])


def test_a_webhook_signed_with_another_secret_is_seen_through(shop: Shop) -> None:
    wrong = WebhookInbox("whsec_other")
    shop.sandbox.control("endpoint", url=wrong.url, secret=SECRET)
    named(shop, "Ada")
    shop.sandbox.wait_until_idle()
    wrong.close()
    assert "signature" in wrong.broken[0]


def test_every_event_that_the_app_listens_to_can_be_made(shop: Shop, inbox: WebhookInbox) -> None:
    for story in (
        tell_checkout,
        tell_payments,
        tell_subscriptions,
        tell_pending_updates,
        tell_trials,
        tell_the_end,
    ):
        story(shop)
    shop.sandbox.wait_until_idle(20)
    assert WORTH_A_FUNCTION - set(inbox.types()) == set()


def tell_checkout(shop: Shop) -> None:
    for card in ("success", "pays_later", "fails_days_later"):
        shop.sandbox.pay(shop.session().id, card)
    for card in ("success", "decline"):
        shop.sandbox.pay(shop.session("setup").id, card)
    shop.session()
    shop.sandbox.advance(4 * DAY)


def tell_payments(shop: Shop) -> None:
    card = shop.save_card()
    first, second = shop.charge(card), shop.charge(card)
    refund = shop.api.refunds.create({"payment_intent": first.id})
    shop.sandbox.control("refund", refund=refund.id, action="fail")
    for action in ("inquiry", "escalate", "win"):
        shop.sandbox.control("dispute", payment_intent=second.id, action=action)
    waiting = shop.api.payment_intents.create({"amount": 500, "currency": "usd"})
    shop.api.payment_intents.cancel(waiting.id)
    shop.sandbox.control("card", payment_method=card, action="update")
    named(shop, "Ada")


def tell_subscriptions(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.save_card("authentication_always")
    shop.sandbox.control("clock", to="next_renewal")
    shop.sandbox.control("invoice", invoice=str(shop.api.subscriptions.retrieve(subscription.id).latest_invoice))
    shop.save_card("decline")
    shop.api.subscriptions.cancel(subscription.id)


def tell_pending_updates(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe()
    shop.save_card("decline")
    pending = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    shop.change(subscription, "max", **pending)
    shop.sandbox.advance(DAY)
    invoice = shop.change(subscription, "max", **pending).latest_invoice
    shop.api.invoices.pay(str(invoice), {"payment_method": "pm_card_visa"})


def tell_trials(shop: Shop) -> None:
    bob = shop.api.customers.create({"email": "bob@example.com"})
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = shop.subscribe(customer=bob.id, trial_period_days=7, trial_settings=settings)
    shop.sandbox.advance(7 * DAY + 60)
    shop.sandbox.control("method", customer=bob.id, card="success")
    shop.api.subscriptions.resume(subscription.id)


def tell_the_end(shop: Shop) -> None:
    shop.api.customers.delete(shop.customer.id)
