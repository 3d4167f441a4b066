"""Who is told what by mail about money: each once, written down in the transaction that it tells of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app import mailer
from app.extensions import db
from app.models.base import credits_figure, credits_string, credits_text
from app.models.billing.auto_recharge import PAUSES, AutoRecharge, Recharge
from app.models.billing.payment import Payment
from app.models.billing.refund import Dispute, Refund
from app.models.billing.rerating import Rerating
from app.models.billing.subscription import UNPAID, Subscription
from app.models.catalog.price import AIModel
from app.models.catalog.price_ahead import PriceAhead
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.limit_request import LimitRequest
from app.models.identity.user import User
from app.models.metering.account_state import AccountState
from app.models.metering.breaker import write_down
from app.models.metering.model_use import Use
from app.models.metering.spending import SpendingPause
from app.models.operations.outbox import OutgoingMail
from app.models.operations.outgoing_webhook import WebhookDelivery
from app.models.operations.support_request import SupportRequest
from app.web.formatting import dollars, pause_text

NOTICES = 30


@dataclass(frozen=True, slots=True)
class Before:
    """What a subscription was before a look at it."""

    status: str
    plan_id: int
    is_ending: bool
    is_in_force: bool
    last_invoice_id: int | None

    @classmethod
    def of(cls, subscription: Subscription) -> Before:
        return cls(
            status=subscription.status,
            plan_id=subscription.plan_id,
            is_ending=subscription.cancel_at_period_end,
            is_in_force=subscription.is_in_force,
            last_invoice_id=last_invoice_id(subscription),
        )


def last_invoice_id(subscription: Subscription) -> int | None:
    return db.session.scalar(select(func.max(Payment.id)).where(Payment.subscription_id == subscription.id))


def day(moment: datetime | None) -> str:
    return f"{moment:%d %B %Y}" if moment else ""


def owner(account: Account, key: str, template: str, **context: Any) -> None:
    where = {
        "account_id": account.id,
        "account_name": account.name,
        "billing_url": mailer.link("billing.overview"),
    }
    mailer.post(f"{key}:{account.id}", account.owner.email, template, **where, **context)


def admins(key: str, template: str, **context: Any) -> None:
    chosen = select(User).where(User.admin_role == "owner", User.disabled_at.is_(None))
    for person in db.session.scalars(chosen):
        mailer.post(f"{key}:{person.id}", person.email, template, **context)


def of_purchase(payment: Payment, account: Account) -> None:
    owner(account, f"receipt:{payment.id}", "receipt", **receipt_facts(payment), what=payment.pack.name)


def receipt_facts(payment: Payment) -> dict[str, Any]:
    return {
        "amount": dollars(payment.price_cents, payment.currency),
        "credits": credits_figure(payment.worth_nanos),
        "tax": dollars(payment.tax_cents, payment.currency) if payment.tax_cents else "",
        "number": payment.number,
        "page_url": payment.page_url,
    }


def charged_facts(recharge: Recharge) -> dict[str, Any]:
    currency, worth = recharge.payment.currency, recharge.payment.worth_nanos
    return {"price_cents": recharge.price_cents, "currency": currency, "credits": credits_string(worth)}


def of_recharge(recharge: Recharge, account: Account) -> None:
    WebhookDelivery.post(
        account.id, f"recharge:{recharge.id}:done", "recharge.done", **charged_facts(recharge)
    )
    context = receipt_facts(recharge.payment)
    owner(
        account, f"recharge_done:{recharge.id}", "recharge_done", **context, what=recharge.payment.pack.name
    )


def of_decline(recharge: Recharge, settings: AutoRecharge | None, account: Account) -> None:
    key, charged = f"recharge:{recharge.id}:failed", charged_facts(recharge)
    WebhookDelivery.post(account.id, key, "recharge.failed", **charged, decline_code=recharge.decline_code)
    amount = dollars(recharge.price_cents, recharge.payment.currency)
    again = settings.next_attempt_at if settings and settings.is_acting else None
    context = {"amount": amount, "card": settings.card_label if settings else "", "next_try": moment(again)}
    owner(account, f"recharge_declined:{recharge.id}", "recharge_declined", **context)


def moment(at: datetime | None) -> str:
    return f"{at:%d %B %Y, %H:%M} UTC" if at else ""


def of_authentication(recharge: Recharge, account: Account) -> None:
    amount = dollars(recharge.price_cents, recharge.payment.currency)
    confirm = mailer.link("billing.confirm_recharge", recharge_id=recharge.id)
    owner(
        account, f"authentication:{recharge.id}", "authentication_needed", amount=amount, confirm_url=confirm
    )


def of_pause(settings: AutoRecharge, account: Account) -> None:
    key = f"recharge_paused:{settings.id}:{settings.paused_at:%Y%m%d%H%M%S}"
    owner(account, key, "recharge_paused", why=PAUSES[settings.pause_reason])


def of_limit(settings: AutoRecharge, account: Account, at: datetime) -> None:
    """Once a month: the maximum does not let it charge again."""
    maximum = dollars(settings.monthly_max_cents, settings.pack.currency)
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
    of_failed_payment(subscription, account, before)
    of_plan(subscription, account, before)


def of_failed_payment(subscription: Subscription, account: Account, before: Before) -> None:
    if subscription.is_unpaid and before.status not in UNPAID:
        key = f"payment_failed:{subscription.id}:{subscription.period_start:%Y%m%d%H%M%S}"
        owner(account, key, "payment_failed", plan=subscription.plan.name, pay_url=subscription.pay_url)


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
        context = {"plan": plan, "ends": day(subscription.period_end)}
        owner(account, f"cancelled:{change}", "subscription_cancelled", **context)
    if before.is_in_force and not subscription.is_in_force:
        key = f"ended:{subscription.id}:{subscription.status}"
        owner(account, key, "subscription_ended", plan=plan, now=account.plan.name)


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
    amount = dollars(subscription.price_cents, subscription.currency)
    context = {"plan": subscription.plan.name, "ends": day(subscription.trial_end), "amount": amount}
    owner(subscription.account, f"trial_ends:{subscription.id}", "trial_ends", **context)


def of_refunds(payment: Payment, account: Account, refunds: list[Refund]) -> None:
    for refund in refunds:
        context = {"amount": dollars(refund.amount_cents, payment.currency)}
        left = credits_figure(account.credits_nanos)
        owner(account, f"refund:{refund.stripe_id}", "refund", **context, credits=left)


def of_dispute(dispute: Dispute, payment: Payment, account: Account) -> None:
    context = {
        "amount": dollars(payment.price_cents, payment.currency),
        "status": dispute.status.replace("_", " "),
    }
    admins(
        f"dispute:{dispute.stripe_id}:{dispute.status}:{dispute.opened_count}",
        "dispute",
        **context,
        account=account.id,
        admin_url=mailer.link("account.details_view", id=account.id),
    )


ALERT_EVENTS = {"low_balance": "balance.low", "daily_limit": "limit.reached"}


def of_alerts(account: Account, at: datetime) -> None:
    """What the owner chose to be told of, each once a day at most."""
    if AccountState.load(account.id).is_unusual(at):
        write_down(account.id, at)
    account_state = AccountState.load(account.id)
    balance = account_state.balance(at)
    everything, today = balance.allowance + balance.credits, balance.day_rest + balance.credits
    context = {
        "low_balance": {
            "credits": credits_figure(everything),
            "today": credits_figure(today) if today < everything else "",
        },
        "daily_limit": {
            "limit": credits_figure(account_state.daily_limit or 0),
            "plan": account_state.plan_name,
        },
        "unusual_spending": {
            "spent": credits_text(account_state.spent_on(at)),
            "bar": credits_text(account_state.bars[1]),
            "link": mailer.link("billing.breaker"),
        },
    }
    for alert in sorted(account_state.alerts(at)):
        if alert in ALERT_EVENTS:
            figures = {"available_credits": credits_string(balance.available)}
            key = f"{ALERT_EVENTS[alert]}:{account.id}:{at:%Y-%m-%d}"
            WebhookDelivery.post(account.id, key, ALERT_EVENTS[alert], **figures)
        owner(account, f"{alert}:{at:%Y-%m-%d}", alert, **context[alert])


def of_spending_pause(pause: SpendingPause) -> None:
    """To every owner and admin of the account, who may resume; the link leads to the page, and resumes nothing."""
    told = {"key_id": str(pause.api_key_id) if pause.api_key_id else None, "period": pause.period}
    told |= {
        "spent_credits": credits_string(pause.spent_nanos),
        "bar_credits": credits_string(pause.bar_nanos),
    }
    told |= {"model": pause.model}
    WebhookDelivery.post(pause.account_id, f"breaker:{pause.id}", "breaker.tripped", **told)
    for member in pause.account.memberships:
        if member.can_manage:
            mailer.post(
                f"spending_paused:{pause.id}:{member.user_id}",
                member.user.email,
                "spending_paused",
                account_name=pause.account.name,
                figures=pause_text(pause),
                key_name=pause.api_key.name if pause.api_key else "",
                link=mailer.link("billing.breaker"),
            )


def of_parked(reason: str, event: str) -> None:
    admins(f"parked:{event}", "payment_parked", reason=reason, admin_url=mailer.link("event.index_view"))


def of_price(ahead: PriceAhead, uses: list[Use]) -> None:
    """Another price is known to come: the administrators, and each who used the model of late, by their own use."""
    key, change = price_key(ahead), change_texts(ahead)
    for use in uses:
        page_url = mailer.link("chat.show")
        mailer.post(
            f"{key}:{use.user.id}",
            use.user.email,
            "price_changes",
            **change,
            **use_texts([use]),
            page_url=page_url,
        )
    totals = {"people": len(uses), "admin_url": mailer.link("price.index_view")}
    admins(f"{key}:admin", "price_changes_admin", **change, **use_texts(uses), **totals)


def price_key(ahead: PriceAhead) -> str:
    return f"price_ahead:{ahead.then.id}"


def change_texts(ahead: PriceAhead) -> dict[str, str]:
    prices = {"now": ahead.now, "then": ahead.then}
    inputs = {f"input_{when}": credits_figure(price.uncached_input_nanos) for when, price in prices.items()}
    outputs = {f"output_{when}": credits_figure(price.output_nanos) for when, price in prices.items()}
    return {"model": ahead.model.title, "begins": moment(ahead.begins), **inputs, **outputs}


def use_texts(uses: list[Use]) -> dict[str, Any]:
    now, then = sum(use.now for use in uses), sum(use.then for use in uses)
    calls = sum(use.calls for use in uses)
    return {"calls": calls, "cost_now": credits_text(now), "cost_then": credits_text(then)}


def of_price_notices(texts: list[str], said: str) -> int:
    """What other sources say of our prices, to the administrators, once for the same that is `said`."""
    key = f"price_notices:{hashlib.sha256(said.encode()).hexdigest()[:24]}"
    if OutgoingMail.was_posted(key):
        return 0
    admins(
        key,
        "price_notices",
        notices=texts[:NOTICES],
        count=len(texts),
        admin_url=mailer.link("registry.index"),
    )
    return len(texts)


def of_correction(rerating: Rerating, account: Account, returned: int) -> None:
    """A price was wrong: what came back, and where each receipt says so."""
    owner(account, rerating.key, "price_corrected", **correction_texts(rerating, returned))


def correction_texts(rerating: Rerating, returned: int) -> dict[str, str]:
    return {
        "model": rerating.price.model.title,
        "since": moment(rerating.since),
        "until": moment(rerating.until),
        "returned": credits_text(returned),
        "reason": rerating.reason,
    }


def of_ending(model: AIModel, users: list[tuple[User, int]]) -> None:
    """A model's last day is near: the administrators, and each who used it of late, with how often."""
    key = f"model_ends:{model.id}:{model.sold_until:%Y-%m-%d}"
    successor = AIModel.named(model.successor) if model.successor else None
    context = {
        "model": model.title,
        "ends": day(model.sold_until),
        "then": successor.title if successor else "",
    }
    for user, calls in users:
        mailer.post(
            f"{key}:{user.id}",
            user.email,
            "model_ends",
            **context,
            calls=calls,
            page_url=mailer.link("chat.show"),
        )
    admin_url = mailer.link("model.edit_view", id=model.id)
    admins(f"{key}:admin", "model_ends_admin", **context, users=len(users), admin_url=admin_url)


def of_support_request(request: SupportRequest) -> None:
    """To the support's address, where there is one; an answer goes to whoever asked."""
    address = Setting.get("support_email")
    if not address:
        return
    account = request.account
    mailer.post(
        f"support_request:{request.id}",
        address,
        "support_request",
        request_id=str(request.id),
        is_priority=request.is_priority,
        account_name=account.name or "Personal",
        account_id=account.id,
        plan=account.plan.name,
        who=request.user.name or "Somebody",
        excerpt=request.message,
        reply_to=request.user.email,
        link=f"{mailer.link('pages.index')}admin/support/details/?id={request.id}",
    )


def of_limit_request(request: LimitRequest) -> None:
    """To everybody who may decide; the link leads to the form, and decides nothing itself."""
    managers = (member.user for member in request.account.memberships if member.can_manage)
    for person in managers:
        mailer.post(
            f"limit_request:{request.id}:{person.id}",
            person.email,
            "limit_request",
            who=request.user.name or request.user.email,
            account_id=request.account_id,
            account_name=request.account.name,
            amount=credits_text(request.amount_nanos),
            reason=request.reason,
            link=mailer.link("auth.account") + "#requests",
        )


def of_limit_decision(request: LimitRequest) -> None:
    mailer.post(
        f"limit_decision:{request.id}",
        request.user.email,
        "limit_decision",
        is_approved=request.state == "approved",
        account_id=request.account_id,
        account_name=request.account.name,
        amount=credits_text(request.granted_nanos or request.amount_nanos),
        until=f"{request.granted_until:%d %B %Y}" if request.granted_until else "",
        link=mailer.link("chat.show"),
    )
