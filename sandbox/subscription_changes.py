"""Changes of a running subscription: other prices with their prorations, and what happens when they do not pay."""

import copy
from dataclasses import dataclass, field
from typing import Any

from sandbox import discounts, invoice_lines, invoices
from sandbox.errors import invalid, unexpected_state
from sandbox.params import Params, flag, integer, merged_metadata, nested, text, whole
from sandbox.routes import operation
from sandbox.shapes import listing
from sandbox.store import Thing
from sandbox.subscriptions import (
    ENDED,
    REQUIRES_ACTION,
    UPDATED,
    current_end,
    make_item,
    price_for,
    put_price,
    set_period,
)
from sandbox.world import Sandbox

HOUR = 3600
PENDING_LASTS = 23 * HOUR
MAY_PEND = {
    "add_invoice_items", "billing_cycle_anchor", "cancel_at_period_end", "discounts", "expand", "items", "metadata",
    "off_session", "payment_behavior", "proration_behavior", "proration_date", "trial_end", "trial_from_plan",
}  # fmt: skip


@dataclass
class Change:
    """What a request asks of a subscription: `draft` is the subscription as it would be, `lines` what that costs now
    (`prorations` wait for the next invoice unless the change is billed at once)."""

    draft: Thing
    prorations: list[Thing] = field(default_factory=list)
    new_period: list[Thing] = field(default_factory=list)
    bill_now: bool = False

    @property
    def lines(self) -> list[Thing]:
        return [*self.prorations, *self.new_period]


def planned(sandbox: Sandbox, subscription: Thing, params: Params) -> Change:
    """Works the change out on a copy; nothing is stored."""
    before = copy.deepcopy(subscription)
    draft = copy.deepcopy(subscription)
    apply_items(sandbox, draft, params)
    apply_settings(sandbox, draft, params)
    at = integer(params, "proration_date", sandbox.now) or sandbox.now
    change = Change(draft)
    if apply_trial(sandbox, draft, params):
        change.new_period = begin_period(sandbox, draft) if draft["trial_end"] == sandbox.now else []
        change.bill_now = bool(change.new_period)
        return change
    if before["status"] not in ("trialing", "paused"):
        price_change(sandbox, before, change, params, at)
    return change


def price_change(sandbox: Sandbox, before: Thing, change: Change, params: Params, at: int) -> None:
    draft, behaviour = change.draft, text(params, "proration_behavior", "create_prorations")
    anew = restarts(before, draft, params)
    if behaviour != "none":
        change.prorations = credits(sandbox, before, draft, at, anew)
    if anew:
        draft["billing_cycle_anchor"] = sandbox.now
        change.new_period = begin_period(sandbox, draft)
    elif behaviour != "none":
        change.prorations += remainders(sandbox, before, draft, at)
    change.bill_now = bool(change.lines) and (anew or behaviour == "always_invoice")


def restarts(before: Thing, draft: Thing, params: Params) -> bool:
    """A new period begins now where it is asked for, or where the interval changes."""
    if nested(params, "billing_cycle_anchor").get("type") == "now":
        return True
    return intervals(before) != intervals(draft)


def intervals(subscription: Thing) -> set[tuple[str, int]]:
    rhythms = [item["price"]["recurring"] for item in subscription["items"]["data"]]
    return {(rhythm["interval"], rhythm["interval_count"]) for rhythm in rhythms}


def begin_period(sandbox: Sandbox, draft: Thing) -> list[Thing]:
    set_period(draft, sandbox.now)
    return [invoice_lines.period_line(sandbox, draft, item) for item in draft["items"]["data"]]


def credits(sandbox: Sandbox, before: Thing, draft: Thing, at: int, anew: bool) -> list[Thing]:
    kept = {terms(item) for item in draft["items"]["data"]}
    gone = [item for item in before["items"]["data"] if anew or terms(item) not in kept]
    return prorations(sandbox, before, gone, at, is_credit=True)


def remainders(sandbox: Sandbox, before: Thing, draft: Thing, at: int) -> list[Thing]:
    had = {terms(item) for item in before["items"]["data"]}
    fresh = [item for item in draft["items"]["data"] if terms(item) not in had]
    return prorations(sandbox, draft, fresh, at, is_credit=False)


def prorations(sandbox: Sandbox, subscription: Thing, items: list[Thing], at: int, *, is_credit: bool) -> list[Thing]:
    priced = (item for item in items if invoice_lines.cost(item))
    return [invoice_lines.proration_line(sandbox, subscription, item, at, is_credit=is_credit) for item in priced]


def terms(item: Thing) -> tuple[str, str, int]:
    return item["id"], item["price"]["id"], item["quantity"]


def apply_items(sandbox: Sandbox, draft: Thing, params: Params) -> None:
    items = draft["items"]["data"]
    period = {name: items[0][name] for name in ("current_period_start", "current_period_end")}
    for index, given in enumerate(params.get("items") or []):
        known = next((item for item in items if item["id"] == given.get("id")), None)
        if given.get("id") and known is None:
            raise invalid(f"No such subscription item: '{given['id']}'", f"items[{index}][id]", "resource_missing")
        if known and flag(given, "deleted"):
            items.remove(known)
        elif known:
            reprice(sandbox, known, given, index)
        else:
            items.append(added_item(sandbox, draft, given, index) | period)
    draft["items"] = listing(items, draft["items"]["url"])


def reprice(sandbox: Sandbox, item: Thing, given: Params, index: int) -> None:
    price = price_for(sandbox, given, index) if "price" in given else item["price"]
    put_price(item, price, whole(given, "quantity", item["quantity"]))


def added_item(sandbox: Sandbox, draft: Thing, given: Params, index: int) -> Thing:
    priced = {**given, "price": price_for(sandbox, given, index), "quantity": whole(given, "quantity", 1)}
    return make_item(sandbox, draft, priced)


def apply_settings(sandbox: Sandbox, draft: Thing, params: Params) -> None:
    draft["metadata"] = merged_metadata(draft["metadata"], params)
    discounts.apply_to(sandbox, draft, params)
    for name in ("default_payment_method", "description"):
        if name in params:
            draft[name] = text(params, name)
    if "trial_settings" in params:
        draft["trial_settings"] = params["trial_settings"]
    if "pause_collection" in params:
        paused = nested(params, "pause_collection")
        draft["pause_collection"] = {"behavior": paused["behavior"], "resumes_at": None} if paused else None
    apply_cancellation(sandbox, draft, params)


def apply_cancellation(sandbox: Sandbox, draft: Thing, params: Params) -> None:
    if "cancel_at_period_end" not in params and "cancel_at" not in params:
        return
    if draft["schedule"]:
        managed = f"The subscription is managed by the subscription schedule `{draft['schedule']}`"
        raise invalid(
            f"{managed}, and updating any cancelation behavior directly is not allowed. Please update the schedule "
            "instead.",
            "cancel_at_period_end",
        )
    at_end = flag(params, "cancel_at_period_end")
    instant = current_end(draft) if at_end else integer(params, "cancel_at")
    details = {**draft["cancellation_details"], **nested(params, "cancellation_details")}
    draft.update(
        cancel_at_period_end=at_end,
        cancel_at=instant,
        canceled_at=sandbox.now if instant else None,
        cancellation_details={**details, "reason": "cancellation_requested" if instant else None},
    )


def apply_trial(sandbox: Sandbox, draft: Thing, params: Params) -> bool:
    wanted = params.get("trial_end")
    if wanted in (None, ""):
        return False
    instant = sandbox.now if wanted == "now" else whole(params, "trial_end")
    running = instant > sandbox.now
    if not running and draft["status"] != "trialing":
        return False
    draft.update(trial_end=instant, billing_cycle_anchor=instant, status="trialing" if running else "active")
    draft["trial_start"] = draft["trial_start"] or sandbox.now
    if running:
        set_period(draft, sandbox.now, instant)
    return True


@operation("POST", "/v1/subscriptions/{id}")
def update(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    subscription = sandbox.get("subscription", identity)
    if subscription["status"] in ENDED:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise unexpected_state(message, "subscription_canceled")
    behaviour = text(params, "payment_behavior", "allow_incomplete")
    if behaviour == "pending_if_incomplete" and set(params) - MAY_PEND:
        extra = sorted(set(params) - MAY_PEND)[0]
        raise invalid("When `payment_behavior=pending_if_incomplete`, this parameter is not supported.", extra)
    forget_conflicting(sandbox, subscription, params)
    change = planned(sandbox, subscription, params)
    if not change.bill_now:
        subscription.setdefault("_pending_lines", []).extend(change.lines)
        return apply(sandbox, subscription, change.draft)
    return billed(sandbox, subscription, change, behaviour or "")


def apply(sandbox: Sandbox, subscription: Thing, draft: Thing) -> Thing:
    fields = {name: value for name, value in draft.items() if not name.startswith("_")}
    return sandbox.change(subscription, UPDATED, **{**fields, "latest_invoice": subscription["latest_invoice"]})


def billed(sandbox: Sandbox, subscription: Thing, change: Change, behaviour: str) -> Thing:
    """Invoices the change at once; see `payment_behavior` for what an unpaid one leaves behind."""
    before = sandbox.checkpoint(subscription["customer"])
    replace_pending(sandbox, subscription)
    invoice = invoices.draft(sandbox, subscription, "subscription_update", take_lines(subscription, change))
    subscription["latest_invoice"] = invoice["id"]
    if invoice["amount_due"] and invoices.card_for(sandbox, subscription) is None:
        sandbox.undo(before)
        raise invoices.no_card()
    if behaviour == "pending_if_incomplete":
        return pend(sandbox, subscription, change, invoice)
    apply(sandbox, subscription, change.draft)
    invoices.finalize(sandbox, invoice)
    if behaviour != "default_incomplete":
        invoices.attempt(sandbox, invoice, off_session=False)
    if behaviour == "error_if_incomplete" and invoice["status"] == "open":
        error = invoices.decline_of(sandbox, invoice, REQUIRES_ACTION)
        sandbox.undo(before)
        raise error
    return subscription


def take_lines(subscription: Thing, change: Change) -> list[Thing]:
    return [*subscription.pop("_pending_lines", []), *change.lines]


def pend(sandbox: Sandbox, subscription: Thing, change: Change, invoice: Thing) -> Thing:
    """The change waits for its invoice: applied when that is paid, forgotten (and the invoice void) after 23 hours."""
    invoice["_pending_update"] = subscription["id"]
    changed = {name: value for name, value in change.draft.items() if value != subscription.get(name)}
    subscription["_pending_draft"] = changed
    invoices.finalize(sandbox, invoice)
    invoices.attempt(sandbox, invoice, off_session=False)
    if invoice["status"] == "open":
        sandbox.change(subscription, UPDATED, pending_update=pending_fields(sandbox, change.draft, changed))
    return subscription


def pending_fields(sandbox: Sandbox, draft: Thing, changed: Thing) -> dict[str, Any]:
    return {
        "billing_cycle_anchor": draft["billing_cycle_anchor"],
        "cancel_at_period_end": changed.get("cancel_at_period_end"),
        "expires_at": sandbox.now + PENDING_LASTS,
        "subscription_items": copy.deepcopy(draft["items"]["data"]),
        "trial_end": draft["trial_end"],
        "trial_from_plan": None,
    }


def apply_pending(sandbox: Sandbox, invoice: Thing) -> None:
    subscription = sandbox.store.find("subscription", invoice.get("_pending_update"))
    draft = subscription.pop("_pending_draft", None) if subscription else None
    if subscription is None or draft is None:
        return
    waited = subscription["pending_update"] is not None
    apply(sandbox, subscription, {**draft, "pending_update": None, "status": subscription["status"]})
    if waited:
        sandbox.emit("customer.subscription.pending_update_applied", subscription)


def replace_pending(sandbox: Sandbox, subscription: Thing) -> None:
    if subscription["pending_update"]:
        expire_pending(sandbox, subscription)


def forget_conflicting(sandbox: Sandbox, subscription: Thing, params: Params) -> None:
    """A change of the cancel that says something else than the update that waits ends that update."""
    waiting = (subscription["pending_update"] or {}).get("cancel_at_period_end")
    asked = flag(params, "cancel_at_period_end") if "cancel_at_period_end" in params else waiting
    if waiting is not None and asked != waiting:
        expire_pending(sandbox, subscription)


def expire_pending(sandbox: Sandbox, subscription: Thing) -> None:
    subscription.pop("_pending_draft", None)
    for invoice in sandbox.store.where("invoice", _pending_update=subscription["id"], status="open"):
        invoices.void(sandbox, invoice)
    sandbox.change(subscription, UPDATED, pending_update=None)
    sandbox.emit("customer.subscription.pending_update_expired", subscription)


invoices.WHEN_PAID.append(apply_pending)
