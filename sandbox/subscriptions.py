"""Subscriptions: begun, followed through their invoices, cancelled, resumed."""

from typing import Any

from sandbox import customers, discounts, invoice_lines, invoices, taxes
from sandbox.catalog import is_live
from sandbox.errors import invalid, missing_param
from sandbox.money import check_same
from sandbox.params import Params, flag, integer, merged_metadata, nested, required, text, whole
from sandbox.periods import period_end
from sandbox.render import public
from sandbox.routes import operation, page, retrieve, wanted
from sandbox.shapes import blank, listing, new_id
from sandbox.store import Thing
from sandbox.world import Checkpoint, Sandbox

DAY = 86400
ENDED = ("canceled", "incomplete_expired")
UPDATED = "customer.subscription.updated"
TRIAL_NOTICE = 3 * DAY
REQUIRES_ACTION = "subscription_payment_intent_requires_action"


@operation("POST", "/v1/subscriptions")
def create(sandbox: Sandbox, params: Params) -> Thing:
    """`payment_behavior`: allow_incomplete (default), default_incomplete, error_if_incomplete."""
    before = sandbox.checkpoint(required(params, "customer"))
    off_session = flag(params, "off_session")
    subscription = begin(sandbox, params)
    if text(params, "payment_behavior") != "default_incomplete":
        pay_first(sandbox, subscription, off_session=off_session)
    if text(params, "payment_behavior") == "error_if_incomplete" and subscription["status"] == "incomplete":
        raise undone(sandbox, subscription, before)
    return subscription


def undone(sandbox: Sandbox, subscription: Thing, before: Checkpoint) -> Exception:
    """Takes everything back, and the 402 that says why."""
    invoice = sandbox.get("invoice", subscription["latest_invoice"])
    error = invoices.decline_of(sandbox, invoice, REQUIRES_ACTION)
    sandbox.undo(before)
    return error


def currency_for(sandbox: Sandbox, customer: Thing, wanted: list[Params]) -> str:
    """The currency of what is subscribed to, which is that of the customer's other subscriptions."""
    live = (one for one in sandbox.store.where("subscription", customer=customer["id"]) if not one["ended_at"])
    currency = check_same({item["price"]["currency"] for item in wanted})
    if any(one["currency"] != currency for one in live):
        raise invalid("You cannot combine currencies on a single customer.", "items")
    return currency


def begin(sandbox: Sandbox, params: Params) -> Thing:
    """The subscription with its first invoice finalized and not yet paid."""
    customer = sandbox.get("customer", required(params, "customer"), "customer")
    wanted = items_from(sandbox, params)
    trial_end = trial_end_from(sandbox, params)
    subscription = sandbox.make(
        "subscription",
        customer=customer["id"],
        currency=currency_for(sandbox, customer, wanted),
        **beginning(sandbox.now, trial_end),
        **settings_from(sandbox, params, customer),
    )
    subscription["automatic_tax"] = {**subscription["automatic_tax"], "enabled": taxes.wanted(params)}
    fill_items(sandbox, subscription, wanted, trial_end)
    discounts.apply_to(sandbox, subscription, params)
    need_card(sandbox, subscription, params)
    sandbox.emit("customer.subscription.created", subscription)
    first_invoice(sandbox, subscription)
    notice_short_trial(sandbox, subscription)
    return subscription


def beginning(now: int, trial_end: int | None) -> dict[str, Any]:
    return {
        "status": "trialing" if trial_end else "incomplete",
        "start_date": now,
        "trial_start": now if trial_end else None,
        "trial_end": trial_end,
        "billing_cycle_anchor": trial_end or now,
    }


def items_from(sandbox: Sandbox, params: Params) -> list[Thing]:
    """`[{price, quantity, metadata}]`, the price as an object."""
    if not params.get("items"):
        raise missing_param("items")
    matches = [{**one, "price": price_for(sandbox, one, i)} for i, one in enumerate(params["items"])]
    return [{**one, "quantity": whole(one, "quantity", 1)} for one in matches]


def price_for(sandbox: Sandbox, given: Params, index: int) -> Thing:
    name = f"items[{index}][price]"
    price = sandbox.get("price", required(given, "price"), name)
    if not is_live(sandbox, price):
        raise invalid("The price specified is inactive. This field only accepts active prices.", name)
    if price["recurring"] is None:
        raise invalid("The price specified is `type=one_time` but this field only accepts `type=recurring`.", name)
    return price


def trial_end_from(sandbox: Sandbox, params: Params) -> int | None:
    days = integer(params, "trial_period_days")
    if days:
        return sandbox.now + days * DAY
    return integer(params, "trial_end") if params.get("trial_end") not in (None, "now") else None


def settings_from(sandbox: Sandbox, params: Params, customer: Thing) -> dict[str, Any]:
    card = text(params, "default_payment_method")
    if card and sandbox.get("payment_method", card, "default_payment_method")["customer"] != customer["id"]:
        raise invalid("The customer does not have this payment method.", "default_payment_method", "resource_missing")
    chosen: dict[str, Any] = {
        "default_payment_method": card,
        "metadata": merged_metadata({}, params),
        "description": text(params, "description"),
        "cancel_at_period_end": flag(params, "cancel_at_period_end"),
    }
    if "trial_settings" in params:
        chosen["trial_settings"] = params["trial_settings"]
    return chosen


def fill_items(sandbox: Sandbox, subscription: Thing, wanted: list[Thing], trial_end: int | None) -> None:
    items = [make_item(sandbox, subscription, one) for one in wanted]
    subscription["items"] = listing(items, f"/v1/subscription_items?subscription={subscription['id']}")
    set_period(subscription, sandbox.now, trial_end)
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = current_end(subscription)


def make_item(sandbox: Sandbox, subscription: Thing, wanted: Thing) -> Thing:
    item = blank("subscription_item")
    item.update(id=new_id("subscription_item"), created=sandbox.now, subscription=subscription["id"])
    item.update(metadata=dict(wanted.get("metadata") or {}))
    put_price(item, wanted["price"], wanted["quantity"])
    return item


def put_price(item: Thing, price: Thing, quantity: int) -> None:
    plan = blank("plan")
    shared = ("active", "billing_scheme", "created", "currency", "livemode", "nickname", "product")
    plan.update({name: price[name] for name in shared}, id=price["id"], amount=price["unit_amount"])
    plan.update(amount_decimal=price["unit_amount_decimal"], interval=price["recurring"]["interval"])
    plan["interval_count"] = price["recurring"]["interval_count"]
    item.update(price=public(price), plan=plan, quantity=quantity)


def set_period(subscription: Thing, start: int, end: int | None = None) -> None:
    for item in subscription["items"]["data"]:
        until = end or period_end(subscription["billing_cycle_anchor"], item["price"]["recurring"], start)
        item.update(current_period_start=start, current_period_end=until)


def current_end(subscription: Thing) -> int:
    return min(int(item["current_period_end"]) for item in subscription["items"]["data"])


def need_card(sandbox: Sandbox, subscription: Thing, params: Params) -> None:
    """A subscription that costs something now and has no card is refused, unless it may wait for one."""
    free = not sum(invoice_lines.cost(item) for item in subscription["items"]["data"])
    waits = text(params, "payment_behavior") == "default_incomplete" or subscription["trial_end"] or free
    if not waits and invoices.card_for(sandbox, subscription) is None:
        sandbox.store.remove("subscription", subscription["id"])
        raise invoices.no_card()


def first_invoice(sandbox: Sandbox, subscription: Thing) -> None:
    trial = subscription["status"] == "trialing"
    items = subscription["items"]["data"]
    lines = [invoice_lines.period_line(sandbox, subscription, item, trial=trial) for item in items]
    invoice = invoices.draft(sandbox, subscription, "subscription_create", lines)
    subscription["latest_invoice"] = invoice["id"]
    invoices.finalize(sandbox, invoice)


def notice_short_trial(sandbox: Sandbox, subscription: Thing) -> None:
    if subscription["trial_end"] and subscription["trial_end"] - sandbox.now <= TRIAL_NOTICE:
        notice_trial(sandbox, subscription)


def notice_trial(sandbox: Sandbox, subscription: Thing) -> None:
    subscription["_trial_noticed"] = True
    sandbox.emit("customer.subscription.trial_will_end", subscription)


def pay_first(sandbox: Sandbox, subscription: Thing, *, off_session: bool = False, proven: bool = False) -> None:
    invoice = sandbox.get("invoice", subscription["latest_invoice"])
    invoices.attempt(sandbox, invoice, off_session=off_session, proven=proven)


def invoice_paid(sandbox: Sandbox, invoice: Thing) -> None:
    """Paid: an incomplete one begins, an overdue one is well again if nothing newer is open."""
    subscription = invoices.subscription_of(sandbox, invoice)
    if subscription["status"] == "incomplete":
        sandbox.change(subscription, UPDATED, status="active")
    if subscription["status"] in ("past_due", "unpaid") and invoice["id"] == subscription["latest_invoice"]:
        sandbox.change(subscription, UPDATED, status="active")
    if subscription["status"] == "paused" and invoice.get("_resumes"):
        sandbox.change(subscription, UPDATED, status="active")
        sandbox.emit("customer.subscription.resumed", subscription)


def invoice_failed(sandbox: Sandbox, invoice: Thing) -> None:
    """A running subscription becomes past due; what follows the last try is for the clock to do."""
    subscription = invoices.subscription_of(sandbox, invoice)
    if subscription["status"] == "active" and not invoice.get("_pending_update"):
        sandbox.change(subscription, UPDATED, status="past_due")


invoices.WHEN_PAID.append(invoice_paid)
invoices.WHEN_FAILED.append(invoice_failed)


@operation("DELETE", "/v1/subscriptions/{id}")
def cancel(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    subscription = sandbox.get("subscription", identity)
    if subscription["status"] in ENDED:
        raise invalid(f"No such subscription: '{identity}'", "id", "resource_missing")
    details = {**subscription["cancellation_details"], **nested(params, "cancellation_details")}
    details["reason"] = "cancellation_requested"
    return end(sandbox, subscription, cancellation_details=details)


def end(sandbox: Sandbox, subscription: Thing, status: str = "canceled", **fields: Any) -> Thing:
    subscription.update(
        status=status,
        ended_at=sandbox.now,
        canceled_at=subscription["canceled_at"] or sandbox.now,
        pending_update=None,
        schedule=None,
        **fields,
    )
    for invoice in sandbox.store.where("invoice", status="open", customer=subscription["customer"]):
        if invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]:
            invoice.update(auto_advance=False, next_payment_attempt=None)
    kind = UPDATED if status == "incomplete_expired" else "customer.subscription.deleted"
    sandbox.emit(kind, subscription)
    return subscription


def customer_deleted(sandbox: Sandbox, customer: Thing) -> None:
    for subscription in sandbox.store.where("subscription", customer=customer["id"]):
        if subscription["status"] not in ENDED:
            end(sandbox, subscription)


customers.WHEN_DELETED.append(customer_deleted)


@operation("POST", "/v1/subscriptions/{id}/resume")
def resume(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    subscription = sandbox.get("subscription", identity)
    if subscription["status"] != "paused":
        raise invalid("You cannot resume a subscription that is not paused.", "id")
    subscription["billing_cycle_anchor"] = sandbox.now
    set_period(subscription, sandbox.now)
    items = subscription["items"]["data"]
    lines = [invoice_lines.period_line(sandbox, subscription, item) for item in items]
    invoice = invoices.draft(sandbox, subscription, "subscription_cycle", lines)
    invoice["_resumes"] = True
    subscription["latest_invoice"] = invoice["id"]
    invoices.finalize(sandbox, invoice)
    invoices.attempt(sandbox, invoice)
    return subscription


@operation("GET", "/v1/subscriptions")
def list_subscriptions(sandbox: Sandbox, params: Params) -> Thing:
    """Without `status`, all that have not been canceled."""
    matches = sandbox.store.where("subscription", **wanted(params, "customer"))
    status = params.get("status")
    if status == "ended":
        matches = [one for one in matches if one["status"] in ENDED]
    elif status != "all":
        matches = [one for one in matches if one["status"] == status or (not status and one["status"] != "canceled")]
    price = params.get("price")
    fitting = [one for one in matches if not price or price in [i["price"]["id"] for i in one["items"]["data"]]]
    return page(fitting, params, "/v1/subscriptions")


retrieve("subscription", "/v1/subscriptions")
