"""Subscription schedules: the prices that are to hold from a later period on."""

import copy
from typing import Any

from sandbox import subscription_changes
from sandbox.errors import invalid, unexpected_state
from sandbox.params import Params, integer, merged_metadata, required, text, whole
from sandbox.periods import shifted
from sandbox.routes import listed, operation, retrieve
from sandbox.store import Thing
from sandbox.subscriptions import current_end, make_item, price_for, put_price
from sandbox.world import Sandbox

ACTIVE = ("active", "not_started")
UNSET = (
    "application_fee_percent", "billing_cycle_anchor", "collection_method", "default_payment_method", "description",
    "invoice_settings", "on_behalf_of", "transfer_data",
)  # fmt: skip


@operation("POST", "/v1/subscription_schedules")
def create(sandbox: Sandbox, params: Params) -> Thing:
    subscription = sandbox.get("subscription", required(params, "from_subscription"), "from_subscription")
    if subscription["schedule"]:
        raise invalid("You cannot migrate a subscription that is already attached to a schedule.", "from_subscription")
    start = subscription["items"]["data"][0]["current_period_start"]
    items = [phase_item(item["price"]["id"], item["quantity"]) for item in subscription["items"]["data"]]
    schedule = sandbox.make(
        "subscription_schedule",
        customer=subscription["customer"],
        subscription=subscription["id"],
        status="active",
        phases=[phase(subscription, items, start, current_end(subscription), **settings_of(sandbox, subscription))],
        current_phase={"start_date": start, "end_date": current_end(subscription)},
        metadata=merged_metadata({}, params),
    )
    subscription["schedule"] = schedule["id"]
    sandbox.emit("subscription_schedule.created", schedule)
    return schedule


def settings_of(sandbox: Sandbox, subscription: Thing) -> Thing:
    """What a schedule takes over of a subscription beside its items."""
    trial_end = subscription["trial_end"] if subscription["status"] == "trialing" else None
    return {"trial_end": trial_end, "discounts": [named(sandbox, one) for one in subscription["discounts"]]}


def named(sandbox: Sandbox, identity: str) -> Thing:
    discount = sandbox.get("discount", identity, "phases[discounts][discount]")
    return {
        "coupon": discount["source"]["coupon"],
        "discount": identity,
        "promotion_code": discount["promotion_code"],
    }


def phase(subscription: Thing, items: list[Thing], start: int, end: int, **fields: Any) -> Thing:
    return {
        **dict.fromkeys(UNSET),
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "default_tax_rates": [],
        "discounts": [],
        "end_date": end,
        "items": items,
        "metadata": {},
        "proration_behavior": "create_prorations",
        "start_date": start,
        "trial_end": None,
        **fields,
    }


def phase_item(price: str, quantity: int) -> Thing:
    return {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": {},
        "plan": price,
        "price": price,
        "quantity": quantity,
        "tax_rates": [],
    }


@operation("POST", "/v1/subscription_schedules/{id}")
def update(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    schedule = sandbox.get("subscription_schedule", identity)
    subscription = sandbox.get("subscription", active(schedule)["subscription"])
    changes: dict[str, Any] = {"metadata": merged_metadata(schedule["metadata"], params)}
    if "end_behavior" in params:
        changes["end_behavior"] = text(params, "end_behavior")
    if "phases" in params:
        changes["phases"] = phases_from(sandbox, subscription, schedule, params["phases"])
    sandbox.change(schedule, "subscription_schedule.updated", **changes)
    if "phases" in params:
        take_settings(sandbox, subscription, schedule["phases"][0])
    return schedule


def phases_from(sandbox: Sandbox, subscription: Thing, schedule: Thing, given: list[Params]) -> list[Thing]:
    phases: list[Thing] = []
    start = schedule["phases"][0]["start_date"]
    for one in given:
        begin = integer(one, "start_date", start) or start
        items = phase_items(sandbox, one)
        until = phase_end(sandbox, one, begin, items)
        behaviour = one.get("proration_behavior", "create_prorations")
        fields = {"proration_behavior": behaviour, "metadata": merged_metadata({}, one)}
        fields["trial_end"] = integer(one, "trial_end")
        fields["discounts"] = [named(sandbox, given["discount"]) for given in one.get("discounts") or []]
        phases.append(phase(subscription, items, begin, until, **fields))
        start = until
    return phases


def phase_items(sandbox: Sandbox, given: Params) -> list[Thing]:
    priced = [(price_for(sandbox, item, i), whole(item, "quantity", 1)) for i, item in enumerate(given["items"])]
    return [phase_item(price["id"], quantity) for price, quantity in priced]


def phase_end(sandbox: Sandbox, given: Params, begin: int, items: list[Thing]) -> int:
    fixed = integer(given, "end_date")
    if fixed:
        return fixed
    rhythm = sandbox.get("price", items[0]["price"])["recurring"]
    if "duration" in given:
        count = whole(given["duration"], "interval_count", 1)
        rhythm = {"interval": given["duration"]["interval"], "interval_count": count}
    return shifted(begin, rhythm, whole(given, "iterations", 1))


def active(schedule: Thing) -> Thing:
    if schedule["status"] not in ACTIVE:
        message = f"This schedule is {schedule['status']} and can not be changed."
        raise unexpected_state(message, "invalid_schedule_status")
    return schedule


@operation("POST", "/v1/subscription_schedules/{id}/release")
def release(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    schedule = active(sandbox.get("subscription_schedule", identity))
    let_go(sandbox, schedule, "released", released_at=sandbox.now, released_subscription=schedule["subscription"])
    sandbox.emit("subscription_schedule.released", schedule)
    return schedule


def let_go(sandbox: Sandbox, schedule: Thing, status: str, **fields: Any) -> None:
    subscription = sandbox.get("subscription", schedule["subscription"])
    schedule.update(status=status, subscription=None, current_phase=None, **fields)
    sandbox.change(subscription, "customer.subscription.updated", schedule=None)


def enter_phase(sandbox: Sandbox, subscription: Thing, instant: int) -> None:
    """At a period's end: the prices of the phase that begins there; after the last one the schedule lets go."""
    schedule = sandbox.store.find("subscription_schedule", subscription["schedule"])
    if schedule is None:
        return
    coming = next((one for one in schedule["phases"] if one["start_date"] <= instant < one["end_date"]), None)
    if coming is None:
        release(sandbox, {}, schedule["id"])
        return
    schedule["current_phase"] = {name: coming[name] for name in ("start_date", "end_date")}
    sandbox.emit("subscription_schedule.updated", schedule)
    take_prices(sandbox, subscription, coming, instant)
    subscription["discounts"] = [one["discount"] for one in coming["discounts"]]


def take_settings(sandbox: Sandbox, subscription: Thing, current: Thing) -> None:
    """What the running phase doesn't say is unset: without its end a trial is over, and charged for, at once."""
    subscription["discounts"] = [one["discount"] for one in current["discounts"]]
    if subscription["status"] == "trialing" and not current["trial_end"]:
        subscription_changes.update(sandbox, {"trial_end": "now"}, subscription["id"])


def take_prices(sandbox: Sandbox, subscription: Thing, coming: Thing, instant: int) -> None:
    before = copy.deepcopy(subscription["items"]["data"])
    wanted = [(sandbox.get("price", item["price"]), item["quantity"]) for item in coming["items"]]
    del subscription["items"]["data"][len(wanted) :]
    for item, (price, quantity) in zip(subscription["items"]["data"], wanted, strict=False):
        put_price(item, price, quantity)
    for price, quantity in wanted[len(before) :]:
        item = make_item(sandbox, subscription, {"price": price, "quantity": quantity})
        subscription["items"]["data"].append(item)
    if before[0]["price"]["recurring"] != wanted[0][0]["recurring"]:
        subscription["billing_cycle_anchor"] = instant


retrieve("subscription_schedule", "/v1/subscription_schedules")
listed("subscription_schedule", "/v1/subscription_schedules", "customer")
