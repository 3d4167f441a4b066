"""What the passing of time brings: renewals, ends of trials, retries, expiries, in the order of their instants."""

import copy
from collections.abc import Callable, Iterator

from sandbox import (
    checkout,
    invoice_lines,
    invoices,
    payment_intents,
    payment_methods,
    schedules,
    subscriptions,
)
from sandbox.store import Thing
from sandbox.subscription_changes import expire_pending
from sandbox.subscriptions import UPDATED, current_end, end, set_period
from sandbox.world import Sandbox

HOUR = 3600
FIRST_PAYMENT_WITHIN = 23 * HOUR
Due = tuple[int, Callable[[Sandbox, Thing], object], Thing]
RENEWING = ("active", "past_due", "unpaid")


def advance(sandbox: Sandbox, to: int) -> int:
    """Plays everything that is due until `to`, each thing at its own instant; how many there were."""
    played = 0
    while (matches := min(due(sandbox), default=None, key=lambda one: one[0])) and matches[0] <= to:
        instant, verb, thing = matches
        sandbox.at(max(instant, 0))
        verb(sandbox, thing)
        played += 1
    sandbox.at(None)
    sandbox.set_clock(to)
    return played


def catch_up(sandbox: Sandbox) -> int:
    """The same for the time that has passed by itself."""
    offset, played = sandbox.store.clock_offset, advance(sandbox, sandbox.now)
    sandbox.store.clock_offset = offset
    return played


def due(sandbox: Sandbox) -> Iterator[Due]:
    for subscription in sandbox.store.all("subscription"):
        yield from due_of_subscription(subscription)
    for invoice in sandbox.store.where("invoice", status="open"):
        if invoice["next_payment_attempt"]:
            yield invoice["next_payment_attempt"], retry, invoice
    for session in sandbox.store.where("checkout.session", status="open"):
        yield session["expires_at"], checkout.expire_session, session
    for intent in sandbox.store.where("payment_intent", status="processing"):
        yield intent["_settles_at"], settle, intent


def due_of_subscription(subscription: Thing) -> Iterator[Due]:
    status = subscription["status"]
    if status == "incomplete":
        yield subscription["created"] + FIRST_PAYMENT_WITHIN, expire_incomplete, subscription
    if status in RENEWING:
        yield current_end(subscription), renew, subscription
    if status == "trialing":
        yield subscription["trial_end"], end_trial, subscription
        if not subscription.get("_trial_noticed"):
            yield (
                subscription["trial_end"] - subscriptions.TRIAL_NOTICE,
                subscriptions.notice_trial,
                subscription,
            )
    if subscription["cancel_at"] and status in (*RENEWING, "trialing"):
        yield subscription["cancel_at"], end, subscription
    if subscription["pending_update"]:
        yield subscription["pending_update"]["expires_at"], expire_pending, subscription


def settle(sandbox: Sandbox, intent: Thing) -> None:
    method = sandbox.get("payment_method", intent["payment_method"])
    success = payment_methods.behaviour(method).settles == "success"
    payment_intents.settle(sandbox, intent, success=success)


def expire_incomplete(sandbox: Sandbox, subscription: Thing) -> None:
    invoice = sandbox.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        invoices.void(sandbox, invoice)
    end(sandbox, subscription, "incomplete_expired")


def is_last(subscription: Thing) -> bool:
    """Whether it ends with its period: that flag, or the moment alone, as the portal sets it."""
    moment = subscription["cancel_at"]
    return subscription["cancel_at_period_end"] or (moment is not None and moment <= current_end(subscription))


def renew(sandbox: Sandbox, subscription: Thing) -> None:
    if is_last(subscription):
        end(sandbox, subscription)
        return
    start = current_end(subscription)
    previous = {"items": copy.deepcopy(subscription["items"])}
    schedules.enter_phase(sandbox, subscription, start)
    set_period(subscription, start)
    sandbox.emit(UPDATED, subscription, previous)
    bill_period(sandbox, subscription)


def bill_period(sandbox: Sandbox, subscription: Thing) -> None:
    items = subscription["items"]["data"]
    lines = [invoice_lines.period_line(sandbox, subscription, item) for item in items]
    together = [*subscription.pop("_pending_lines", []), *lines]
    invoice = invoices.draft(sandbox, subscription, "subscription_cycle", together)
    subscription["latest_invoice"] = invoice["id"]
    paused = (subscription["pause_collection"] or {}).get("behavior")
    if subscription["status"] == "unpaid" or paused == "keep_as_draft":
        invoice["auto_advance"] = False
        return
    invoices.finalize(sandbox, invoice)
    if paused == "void":
        invoices.void(sandbox, invoice)
    elif paused:
        sandbox.change(invoice, "invoice.marked_uncollectible", status="uncollectible")
    else:
        invoices.attempt(sandbox, invoice)


def end_trial(sandbox: Sandbox, subscription: Thing) -> None:
    """Without a card, as `trial_settings.end_behavior.missing_payment_method` has it."""
    if is_last(subscription):
        end(sandbox, subscription)
        return
    wanted = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if invoices.card_for(sandbox, subscription) is None and wanted == "cancel":
        end(sandbox, subscription)
        return
    if invoices.card_for(sandbox, subscription) is None and wanted == "pause":
        sandbox.change(subscription, UPDATED, status="paused")
        sandbox.emit("customer.subscription.paused", subscription)
        return
    start = subscription["trial_end"]
    schedules.enter_phase(sandbox, subscription, start)
    set_period(subscription, start)
    sandbox.change(subscription, UPDATED, status="active")
    bill_period(sandbox, subscription)


def retry(sandbox: Sandbox, invoice: Thing) -> None:
    invoices.attempt(sandbox, invoice)
    is_waiting = invoice["status"] == "open" and invoices.intent_for(sandbox, invoice)["status"] == "processing"
    if invoice["status"] == "open" and invoice["next_payment_attempt"] is None and not is_waiting:
        give_up(sandbox, invoice)


def give_up(sandbox: Sandbox, invoice: Thing) -> None:
    """After the last try: the sandbox's setting `after_dunning` says cancel, unpaid or past_due."""
    subscription = invoices.subscription_of(sandbox, invoice)
    if subscription["status"] != "past_due" or sandbox.after_dunning == "past_due":
        return
    if sandbox.after_dunning == "unpaid":
        sandbox.change(subscription, UPDATED, status="unpaid")
        return
    details = {**subscription["cancellation_details"], "reason": "payment_failed"}
    end(sandbox, subscription, cancellation_details=details)
