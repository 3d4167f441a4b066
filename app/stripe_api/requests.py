"""Requests to Stripe. Whatever moves money carries an idempotency key made from a committed row."""

from contextlib import suppress
from typing import Any

from app.models.billing import stripe_objects as state
from app.models.billing.auto_recharge import Recharge
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import NotFound
from app.models.billing.redemption import Redemption
from app.models.billing.refund import Refund
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.worth import currency
from app.models.identity.account import Account
from app.stripe_api import mapping, taxes
from app.stripe_api.client import asking, plain

Params = dict[str, Any]


def keyed(key: str) -> Params:
    return {"idempotency_key": key}


def make_customer(account: Account) -> str:
    wanted: Params = {"email": account.owner.email, "metadata": {"account_id": str(account.id)}}
    key = f"customer-{account.id}-{int(account.created_at.timestamp() * 1000)}-{account.customer_generation}"
    with asking() as v1:
        return str(v1.customers.create(wanted, keyed(key)).id)


def publish_product(sold: Plan | CreditPack) -> str:
    """Create or update what the customer sees of it at Stripe; its id."""
    kind = type(sold).__name__.lower()
    wanted: Params = {
        "name": sold.name,
        "active": sold.status != "inactive",
        "metadata": {f"{kind}_id": str(sold.id)},
    }
    wanted["description"] = sold.description or sold.name
    made = f"{int(sold.created_at.timestamp() * 1000)}-{len(sold.former_price_ids)}"
    known, key = sold.stripe_product_id, f"product-{kind}-{sold.id}-{made}"
    with asking() as v1:
        if known:
            return str(v1.products.update(known, wanted).id)
        return str(v1.products.create(wanted, keyed(key)).id)


def publish_price(sold: Plan | CreditPack, product_id: str, cents: int) -> str:
    wanted: Params = {"product": product_id, "unit_amount": cents, "currency": sold.currency}
    wanted |= taxes.of_price()
    if isinstance(sold, Plan):
        wanted["recurring"] = {"interval": sold.interval}
    terms = f"{cents}-{sold.currency}-{wanted.get('recurring')}-{len(sold.former_price_ids)}"
    terms += f"-{behavior}" if (behavior := wanted.get("tax_behavior")) else ""
    key = f"price-{product_id}-{terms}"
    with asking() as v1:
        return str(v1.prices.create(wanted, keyed(key)).id)


def terms_at_stripe(price_id: str) -> tuple[int, str, str, str | None]:
    """Cents, currency, interval (`once` for a pack) and, where tax is collected, the tax behavior of a price."""
    with asking() as v1:
        fetched = plain(v1.prices.retrieve(price_id))
    return (
        fetched["unit_amount"],
        fetched["currency"],
        (fetched.get("recurring") or {}).get("interval") or "once",
        fetched.get("tax_behavior") if taxes.of_price() else None,
    )


def checkout_of_pack(payment: Payment, customer_id: str, return_url: str, cancel_url: str) -> state.SessionState:
    """A hosted page that asks for one payment; the price is what our row says."""
    line = {**priced_by(payment), "quantity": payment.quantity}
    about: Params = {"metadata": payment.labels, "description": payment.pack.name}
    if payment.saves_card:
        about["setup_future_usage"] = "off_session"
    wanted: Params = {
        "mode": "payment",
        "line_items": [line],
        "payment_intent_data": about,
        **discounts(payment.redemption),
        **taxes.of_checkout(),
    }
    owner = {
        "customer": customer_id,
        "client_reference_id": str(payment.account_id),
        "metadata": payment.labels,
    }
    return open_session(wanted | owner, return_url, cancel_url, payment.idempotency_key)


def priced_by(payment: Payment) -> Params:
    """The pack's price at Stripe, or one for this payment alone, of the amount that was chosen."""
    pack = payment.pack
    if not pack.is_any_amount:
        return {"price": pack.stripe_price_id}
    amount = payment.price_cents + payment.discount_cents
    made = {"currency": payment.currency, "product": pack.stripe_product_id, "unit_amount": amount}
    return {"price_data": made | taxes.of_price()}


def checkout_of_plan(
    subscription: Subscription, customer_id: str, return_url: str, cancel_url: str
) -> state.SessionState:
    about: Params = {"metadata": subscription.labels}
    if subscription.trial_days:
        about["trial_period_days"] = subscription.trial_days
    wanted: Params = {
        "mode": "subscription",
        "line_items": [{"price": subscription.stripe_price_id, "quantity": 1}],
        "subscription_data": about,
        **discounts(subscription.redemption),
        **taxes.of_checkout(),
    }
    owner = {"customer": customer_id, "client_reference_id": str(subscription.account_id)}
    owner["metadata"] = subscription.labels  # type: ignore[assignment]
    return open_session(wanted | owner, return_url, cancel_url, subscription.idempotency_key)


def discounts(redemption: Redemption | None) -> Params:
    """The promotion code of a discount; what adds credits is no matter of Stripe's."""
    made = redemption.code.stripe_promotion_code_id if redemption else None
    return {"discounts": [{"promotion_code": made}]} if made else {}


def checkout_of_card(account: Account, customer_id: str, return_url: str, cancel_url: str) -> state.SessionState:
    """A hosted page that saves a card and charges nothing."""
    labels = {"account_id": str(account.id)}
    wanted: Params = {
        "mode": "setup",
        "currency": currency(),
        "customer": customer_id,
        "client_reference_id": str(account.id),
        "metadata": labels,
        "setup_intent_data": {"metadata": labels},
    }
    return open_session(wanted, return_url, cancel_url, None)


def open_session(wanted: Params, return_url: str, cancel_url: str, key: str | None) -> state.SessionState:
    wanted |= {"success_url": return_url, "cancel_url": cancel_url}
    with asking() as v1:
        return mapping.session(plain(v1.checkout.sessions.create(wanted, keyed(key) if key else {})))


def portal(customer_id: str, return_url: str) -> str:
    """The address of Stripe's own page for cards and invoices."""
    wanted: Params = {"customer": customer_id, "return_url": return_url, **taxes.of_portal()}
    with asking() as v1:
        return str(v1.billing_portal.sessions.create(wanted).url)


def charge_saved_card(recharge: Recharge, tax: taxes.Calculation | None = None) -> state.PaymentState:
    """Charge an attempt of auto-recharge while its owner is away. Declined, AuthenticationNeeded, UnknownOutcome."""
    wanted: Params = {
        "amount": recharge.price_cents,
        "currency": recharge.payment.currency,
        "customer": recharge.stripe_customer_id,
        "payment_method": recharge.card_id,
        "confirm": True,
        "off_session": True,
        "description": "Auto-recharge",
        "metadata": recharge.labels,
    }
    if tax is not None:
        wanted["hooks"] = {"inputs": {"tax": {"calculation": tax.stripe_id}}}
    key = keyed(recharge.idempotency_key)
    with asking() as v1:
        return mapping.payment(plain(v1.payment_intents.create(wanted, key)))


def confirm_payment(recharge: Recharge, return_url: str) -> state.PaymentState:
    """Try the attempt again with its owner there; `confirm_url` is where the bank asks."""
    wanted = {"payment_method": recharge.card_id, "return_url": return_url}
    key = f"{recharge.idempotency_key}-confirm-{recharge.confirmations}"
    intent = recharge.stripe_payment_intent_id or ""
    with asking() as v1:
        return mapping.payment(plain(v1.payment_intents.confirm(intent, wanted, keyed(key))))


def cancel_payment(payment_intent_id: str) -> state.PaymentState:
    with asking() as v1:
        return mapping.payment(plain(v1.payment_intents.cancel(payment_intent_id)))


def pay_back(refund: Refund) -> state.RefundState:
    wanted = {"payment_intent": refund.payment.stripe_payment_intent_id or "", "amount": refund.amount_cents}
    labels, key = refund.labels, keyed(refund.idempotency_key)
    with asking() as v1:
        return mapping.refund(plain(v1.refunds.create({**wanted, "metadata": labels}, key)))


def use_card(customer_id: str, card_id: str) -> None:
    """Make a card the one that later invoices are paid with."""
    with asking() as v1:
        v1.customers.update(customer_id, {"invoice_settings": {"default_payment_method": card_id}})


def upgrade(subscription: Subscription, plan: Plan, key: str) -> None:
    """The dearer plan now: prorated, invoiced at once, and only taken over once that invoice is paid, which takes back
    a cancel too."""
    wanted: Params = {
        "items": [{"id": subscription.stripe_item_id or "", "price": plan.asked_price_id or ""}],
        "proration_behavior": "always_invoice",
        "payment_behavior": "pending_if_incomplete",
    }
    if subscription.cancel_at_period_end:
        wanted["cancel_at_period_end"], key = False, f"{key}-goes-on"
    if subscription.is_trialing:
        wanted["proration_behavior"] = "none"
    stripe_id = subscription.stripe_id or ""
    with asking() as v1:
        v1.subscriptions.update(stripe_id, wanted, keyed(key))


def preview_upgrade(subscription: Subscription, plan: Plan) -> state.PreviewState:
    item = {"id": subscription.stripe_item_id or "", "price": plan.asked_price_id or ""}
    change: Params = {"items": [item], "proration_behavior": "always_invoice"}
    wanted: Params = {"subscription": subscription.stripe_id or "", "subscription_details": change}
    with asking() as v1:
        return mapping.preview(plain(v1.invoices.create_preview(wanted)))


def change_at_period_end(subscription: Subscription, plan: Plan, key: str) -> None:
    """Another price from the next period on, by a schedule of two phases. What a phase doesn't say, Stripe unsets:
    the trial would end, and be charged for, now; discounts would be gone."""
    schedule, begun = subscription.stripe_schedule_id, {"from_subscription": subscription.stripe_id or ""}
    with asking() as v1:
        if schedule is None:
            schedule = v1.subscription_schedules.create(begun, keyed(f"{key}-schedule")).id
        current = plain(v1.subscription_schedules.retrieve(schedule))["phases"][0]
        now, discounts = phase_as_it_is(current), discounts_of(current)
        later = {
            "items": [{"price": plan.asked_price_id, "quantity": 1}],
            "duration": {"interval": plan.interval, "interval_count": 1},
            "proration_behavior": "none",
            **discounts,
        }
        wanted: Params = {
            "phases": [now | discounts, later],
            "end_behavior": "release",
            "metadata": subscription.labels,
        }
        v1.subscription_schedules.update(schedule, wanted, keyed(key))


def phase_as_it_is(phase: Params) -> Params:
    """A phase as parameters that change nothing of it."""
    items = [{"price": mapping.id_of(one["price"]), "quantity": one.get("quantity", 1)} for one in phase["items"]]
    kept = {name: phase[name] for name in ("start_date", "end_date", "trial_end") if phase.get(name)}
    return {"items": items, **kept}


def discounts_of(phase: Params) -> Params:
    """The discounts of a phase, by their own ids: a coupon named anew would begin anew."""
    known = [mapping.id_of(one.get("discount")) for one in phase.get("discounts") or []]
    named = [{"discount": one} for one in known if one]
    return {"discounts": named} if named else {}


def release_schedule(subscription: Subscription) -> None:
    schedule = subscription.stripe_schedule_id or ""
    with asking() as v1:
        v1.subscription_schedules.release(schedule)


def cancel_at_period_end(subscription: Subscription, key: str, *, cancel: bool, next_plan: Plan | None = None) -> None:
    """Let it end with its period, or (cancel=False) go on after all, however its end was set."""
    labels = {"next_plan_id": str(next_plan.id) if next_plan else ""}
    stripe_id, wanted = subscription.stripe_id or "", {"cancel_at_period_end": cancel, "metadata": labels}
    with asking() as v1:
        now = None if cancel else plain(v1.subscriptions.retrieve(stripe_id))
        if now and now.get("cancel_at") and not now.get("cancel_at_period_end"):
            wanted = {"cancel_at": "", "metadata": labels}
        v1.subscriptions.update(stripe_id, wanted, keyed(key))


def cancel_now(stripe_id: str) -> None:
    """One that has ended is gone for this request: so it is where the answer to it was lost, and it is asked again."""
    with suppress(NotFound), asking() as v1:
        v1.subscriptions.cancel(stripe_id)
