"""Mails about payments and subscriptions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app import mailer
from app.extensions import db
from app.models.base import credits_figure, credits_string, credits_text
from app.models.billing.allowance_refill import monthly_amount
from app.models.billing.auto_recharge import PAUSES, AutoRecharge, Recharge
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.refund import Dispute, Refund
from app.models.billing.stripe_objects import is_credit_note
from app.models.billing.subscription import UNPAID, Subscription
from app.models.catalog.worth import tax_note
from app.models.identity.account import Account
from app.models.operations.outgoing_webhook import WebhookDelivery
from app.notifications.people_mails import of_parked
from app.notifications.recipients import admins, owner
from app.web.formatting import date_text, datetime_text, money_text
from app.web.promotion_text import next_amount


@dataclass(frozen=True, slots=True)
class Before:
    """What a subscription was before a look at it."""

    status: str
    plan_id: int
    is_ending: bool
    is_in_force: bool
    last_invoice_id: int | None
    pending_plan_id: int | None

    @classmethod
    def of(cls, subscription: Subscription) -> "Before":
        return cls(
            status=subscription.status,
            plan_id=subscription.plan_id,
            is_ending=subscription.cancel_at_period_end,
            is_in_force=subscription.is_in_force,
            last_invoice_id=last_invoice_id(subscription),
            pending_plan_id=subscription.pending_plan_id,
        )


def last_invoice_id(subscription: Subscription) -> int | None:
    return db.session.scalar(select(func.max(Payment.id)).where(Payment.subscription_id == subscription.id))


def of_purchase(payment: Payment, account: Account) -> None:
    owner(account, f"receipt:{payment.id}", "receipt", **receipt_facts(payment), what=payment.pack.name)


def of_debit(payment: Payment, account: Account) -> None:
    """A bank debit was begun: the credits come with the money."""
    owner(account, f"debit:{payment.id}", "debit_begun", **receipt_facts(payment), what=payment.pack.name)


def of_failed_debit(payment: Payment, account: Account) -> None:
    owner(account, f"debit_failed:{payment.id}", "debit_failed", **receipt_facts(payment), what=payment.pack.name)


def receipt_facts(payment: Payment) -> dict[str, Any]:
    return {
        "amount": money_text(payment.price_cents, payment.currency),
        "credits": credits_figure(payment.worth_nanos),
        "tax": money_text(payment.tax_cents, payment.currency) if payment.tax_cents else "",
        "number": payment.number,
        "page_url": payment.page_url,
    }


def charged_facts(recharge: Recharge) -> dict[str, Any]:
    currency, worth = recharge.payment.currency, recharge.payment.worth_nanos
    return {"price_cents": recharge.price_cents, "currency": currency, "credits": credits_string(worth)}


def of_recharge(recharge: Recharge, account: Account) -> None:
    WebhookDelivery.post(account.id, f"recharge:{recharge.id}:done", "recharge.done", **charged_facts(recharge))
    owner(account, f"recharge_done:{recharge.id}", "recharge_done", **receipt_facts(recharge.payment))


def of_decline(recharge: Recharge, settings: AutoRecharge | None, account: Account) -> None:
    key, charged = f"recharge:{recharge.id}:failed", charged_facts(recharge)
    WebhookDelivery.post(account.id, key, "recharge.failed", **charged, decline_code=recharge.decline_code)
    amount = money_text(recharge.price_cents, recharge.payment.currency)
    again = settings.next_attempt_at if settings and settings.is_acting else None
    context = {
        "amount": amount,
        "card": settings.card_label if settings else "",
        "next_try": datetime_text(again),
    }
    owner(account, f"recharge_declined:{recharge.id}", "recharge_declined", **context)


def of_authentication(recharge: Recharge, account: Account) -> None:
    amount = money_text(recharge.price_cents, recharge.payment.currency)
    confirm = mailer.link("billing.confirm_recharge", recharge_id=recharge.id)
    owner(account, f"authentication:{recharge.id}", "authentication_needed", amount=amount, confirm_url=confirm)


def of_pause(settings: AutoRecharge, account: Account) -> None:
    key = f"recharge_paused:{settings.id}:{settings.paused_at:%Y%m%d%H%M%S}"
    owner(account, key, "recharge_paused", why=PAUSES[settings.pause_reason])


def of_limit(settings: AutoRecharge, account: Account, at: datetime) -> None:
    """Once a month: the maximum does not let it charge again."""
    maximum = money_text(settings.monthly_max_cents, settings.pack.currency)
    owner(account, f"recharge_limit:{settings.id}:{at:%Y-%m}", "recharge_limit", maximum=maximum)


def of_subscription(subscription: Subscription, account: Account, before: Before) -> None:
    """What changed between two looks; one that is sent away is told of by its refund, or as a trial."""
    for payment in newly(subscription, before, "parked"):
        of_parked(payment.review_reason, payment.stripe_invoice_id or "")
    if subscription.trial_refused_at:
        of_trial_refused(subscription, account)
    if subscription.rejected_at:
        return
    for payment in newly(subscription, before, "paid"):
        owner(account, f"receipt:{payment.id}", "receipt", **receipt_facts(payment), what=payment.plan.name)
    if subscription.is_unpaid and before.status not in UNPAID:
        key = f"payment_failed:{subscription.id}:{subscription.period_start:%Y%m%d%H%M%S}"
        owner(account, key, "payment_failed", plan=subscription.plan.name, pay_url=subscription.pay_url)
    of_plan(subscription, account, before)


def of_plan(subscription: Subscription, account: Account, before: Before) -> None:
    """Another plan, a cancel, the end."""
    plan, change = subscription.plan.name, f"{subscription.id}:{subscription.change_counter}"
    if before != Before.of(subscription):
        state = f"{subscription.status}:{subscription.plan_id}:{subscription.cancel_at_period_end}"
        told = {"status": subscription.status, "plan": plan, "plan_id": str(subscription.plan_id)}
        told["cancel_at_period_end"] = subscription.cancel_at_period_end
        WebhookDelivery.post(account.id, f"subscription:{change}:{state}", "subscription.changed", **told)
    if before.is_in_force and subscription.plan_id != before.plan_id:
        owner(account, f"plan_changed:{change}:{subscription.plan_id}", "plan_changed", plan=plan)
    if subscription.cancel_at_period_end and not before.is_ending and subscription.gives_rights:
        context = {"plan": plan, "ends": date_text(subscription.period_end)}
        owner(account, f"cancelled:{change}", "subscription_cancelled", **context)
    of_scheduled_change(subscription, account, before)
    if before.is_in_force and not subscription.is_in_force:
        key = f"ended:{subscription.id}:{subscription.status}"
        owner(account, key, "subscription_ended", plan=plan, now=account.plan.name)


def of_scheduled_change(subscription: Subscription, account: Account, before: Before) -> None:
    """Another plan from the end of the period on."""
    coming = subscription.pending_plan
    if coming is None or coming.id == before.pending_plan_id or not subscription.is_in_force:
        return
    if subscription.cancel_at_period_end:
        return  # told of as a cancel
    owner(
        account,
        f"scheduled:{subscription.id}:{subscription.change_counter}:{coming.id}",
        "plan_change_scheduled",
        plan=subscription.plan.name,
        next=coming.name,
        date=date_text(subscription.period_end),
        credits=credits_text(monthly_amount(account, coming)),
        amount=money_text(subscription.next_cents, coming.currency),
        interval=coming.interval,
        tax=tax_note(),
    )


def newly(subscription: Subscription, before: Before, state: str) -> list[Payment]:
    """Its invoices since then that are in that state: paid, or parked."""
    since = Payment.id > (before.last_invoice_id or 0), Payment.state == state
    sold = select(Payment).where(Payment.subscription_id == subscription.id, *since)
    return list(db.session.scalars(sold.order_by(Payment.id)))


def of_trial_refused(subscription: Subscription, account: Account) -> None:
    """The card had a trial before: nothing was charged, and nothing will be without a new consent."""
    key, plan = f"trial_refused:{subscription.id}", subscription.plan.name
    owner(account, key, "trial_refused", plan=plan, pricing_url=mailer.link("pages.pricing"))


def of_trial_end(subscription: Subscription) -> None:
    amount = next_amount(subscription, subscription.next_cents)
    context = {
        "plan": subscription.plan.name,
        "ends": datetime_text(subscription.trial_end),
        "amount": amount,
    }
    owner(subscription.account, f"trial_ends:{subscription.id}", "trial_ends", **context)


def of_refunds(payment: Payment, account: Account, refunds: list[Refund]) -> None:
    """What is refunded of credits that a dispute took, or that ended with their subscription, takes none."""
    for refund in refunds:
        takes_none = LedgerEntry.by(key=f"refund:{refund.stripe_id}") is None
        amount = money_text(refund.amount_cents, payment.currency)
        left = credits_figure(account.credits_nanos)
        mail = "credit_note" if is_credit_note(refund.stripe_id) else "refund"
        owner(account, f"refund:{refund.stripe_id}", mail, amount=amount, credits=left, takes_none=takes_none)


def of_dispute(dispute: Dispute, payment: Payment, account: Account) -> None:
    context = {
        "amount": money_text(payment.price_cents, payment.currency),
        "status": dispute.status.replace("_", " "),
    }
    admins(
        f"dispute:{dispute.stripe_id}:{dispute.status}:{dispute.opened_count}",
        "dispute",
        **context,
        account=account.id,
        admin_url=mailer.link("account.details_view", id=account.id),
    )
