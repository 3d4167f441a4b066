"""Subscriptions: begin, change, cancel, resume. Each step is requested from Stripe, then synced."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.extensions import db
from app.jobs import commit
from app.models.base import utcnow
from app.models.billing.allowance_refill import monthly_amount
from app.models.billing.growth import growth
from app.models.billing.payment import CHECKOUT_LIFETIME
from app.models.billing.payment_errors import Declined, Rejected, ServerError
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import choose_free_plan, end_rights
from app.models.billing.trial import trial_days_for, trial_growth
from app.models.catalog.plan import Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.refusal import Conflict, InvalidRequest, Refusal
from app.notifications import payment_mails
from app.payments import product_sync, promotion_codes
from app.payments.checkout import at_stripe, cancel_url, check_set_up, customer_of, open_again, return_url
from app.payments.sync import sync_subscription
from app.stripe_api import client, requests


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change of plan would do. `due_cents` now, `next_cents` at `changes_at`; `grows_nanos` once paid, and
    `monthly_nanos` at each refill after it."""

    plan: Plan
    acts_now: bool
    due_cents: int
    next_cents: int
    currency: str
    changes_at: datetime | None
    grows_nanos: int
    monthly_nanos: int
    lines: tuple[tuple[str, int], ...] = ()


def plan_on_offer(plan_id: str | int | None) -> Plan:
    plan = Plan.find(plan_id if plan_id is not None else "", status="active")
    if plan is None:
        raise InvalidRequest({"plan_id": ["isn't a plan you can choose now."]})
    return plan


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """What somebody wants to subscribe to, with a code as it was typed."""

    plan: Plan
    code: str | None = None
    request_key: str | None = None

    def code_for(self, account: Account) -> PromotionCode | None:
        """WrongCode where that account may not use it for the plan."""
        return promotion_codes.code_for(account, self.code, self.plan)

    def terms_with(self, code: PromotionCode | None) -> tuple[object, ...]:
        """As those of the subscription that is begun for it."""
        return "plan", self.plan.id, self.plan.asked_price_id, self.plan.asked_cents, code.id if code else None


def subscribe(buyer: Actor, order: PlanOrder) -> str | None:
    """Begin a subscription; the address of the page that takes the money, or None: a free plan, chosen at once.

    The same plan once more, while it is not paid, leads to the same page.
    """
    plan = order.plan
    if not plan.is_free:
        check_set_up()
    if Subscription.live_of(buyer.account_id) is not None:
        raise Conflict("already_subscribed")
    if plan.is_free:
        order.code_for(buyer.account)
        choose_free_plan(Account.locked(buyer.account_id), plan)
        commit()
        return None
    return at_stripe(buyer.account_id, plan, partial(begin_subscription, buyer, order))


def begin_subscription(buyer: Actor, order: PlanOrder, anew: bool) -> str | None:
    code = order.code_for(buyer.account)
    product_sync.publish(order.plan)
    customer = customer_of(buyer.account_id)
    promotion_codes.make_room(code, buyer.account_id, order.terms_with(code), anew=anew)
    account = Account.locked(buyer.account_id)
    code = order.code_for(account)
    known = None if anew else begun_before(account, order, code)
    subscription = known or begin_anew(buyer, account, order.plan, code)
    subscription.stripe_customer_id, subscription.request_key = customer, order.request_key
    commit()
    if subscription.stripe_session_id:
        return open_again(subscription.stripe_session_id) or begin_subscription(buyer, order, True)
    session = requests.checkout_of_plan(subscription, customer, return_url(), cancel_url())
    subscription.stripe_session_id = session.stripe_id
    commit()
    return session.url


def begin_anew(buyer: Actor, account: Account, plan: Plan, code: PromotionCode | None) -> Subscription:
    """A subscription on a locked account, with one of its code held for it."""
    subscription = Subscription.begin(buyer, account, plan, trial_days=trial_days_for(account, plan))
    bonus = code.bonus_nanos(plan.period_nanos) if code else 0
    redemption = promotion_codes.hold(code, account, buyer, bonus=bonus)
    subscription.redemption_id = redemption.id if redemption else None
    return subscription


def begun_before(account: Account, order: PlanOrder, code: PromotionCode | None) -> Subscription | None:
    """The checkout of the same plan at the same terms that waits for its payment."""
    key, terms = order.request_key, order.terms_with(code)
    for one in Subscription.begun(account.id, utcnow() - CHECKOUT_LIFETIME):
        if key and one.request_key == key and one.plan_id != order.plan.id:
            raise Conflict("idempotency_key_reused")
        if one.terms == terms and one.trial_days == trial_days_for(account, order.plan):
            return one
    return None


def change_plan(buyer: Actor, plan: Plan, request_key: str | None = None) -> str | None:
    """To another plan: an upgrade now, everything else at the period's end. A page's address where one must pay."""
    subscription = live_by_now(buyer.account_id)
    if subscription is None:
        return subscribe(buyer, PlanOrder(plan, request_key=request_key))
    if subscription.is_unpaid:
        context, page = {"changes_plan": True}, subscription.pay_url
        raise Refusal("subscription_unpaid", context=context, way_out="billing", pay_url=page)
    product_sync.publish(plan)
    if not plan.is_free:
        plan.lock_terms()
    is_upgrade = subscription.is_upgrade(plan)
    (upgrade if is_upgrade else change_later)(subscription, plan)
    look_again(subscription)
    return str(subscription.pay_url) if is_upgrade and subscription.pay_url else None


def live_by_now(account_id: int) -> Subscription | None:
    """The live one as Stripe has it: elsewhere it may have been changed, paid, or ended."""
    if Subscription.live_of(account_id) is not None:
        check_set_up()
    if (known := Subscription.live_of(account_id)) is not None:
        look_again(known)
    return Subscription.live_of(account_id)


def upgrade(subscription: Subscription, plan: Plan) -> None:
    """Now; what was to end with the period ends all the same where the upgrade is not paid."""
    release(subscription)
    ask_once(subscription, plan, requests.upgrade)
    look_again(subscription)
    if subscription.plan_id == plan.id:
        keep_on(subscription)


def change_later(subscription: Subscription, plan: Plan) -> None:
    """At the period's end; its own plan once more only takes back what was to happen then."""
    undo_pending(subscription)
    if plan.is_free:
        requests.cancel_at_period_end(subscription, intent(subscription), cancel=True, next_plan=plan)
    elif plan.id != subscription.plan_id:
        ask_once(subscription, plan, requests.change_at_period_end)


def intent(subscription: Subscription) -> str:
    """Write down that a change is wanted, and commit: the key by which Stripe knows it."""
    key = subscription.intend()
    commit()
    return key


def ask_once(subscription: Subscription, plan: Plan, change: Callable[[Subscription, Plan, str], None]) -> None:
    """Ask for a change under a key that is the same until it was answered: two clicks are one change."""
    key = f"{subscription.idempotency_key}-to-{plan.id}"
    try:
        change(subscription, plan, key)
    except (Declined, Rejected, ServerError):
        intent(subscription)
        raise
    intent(subscription)


def undo_pending(subscription: Subscription) -> None:
    """Take back what is to happen at the period's end, of a subscription as Stripe has it now: a change may have been
    broken off."""
    release(subscription)
    keep_on(subscription)


def keep_on(subscription: Subscription) -> None:
    """Take back a cancel."""
    if subscription.cancel_at_period_end:
        requests.cancel_at_period_end(subscription, intent(subscription), cancel=False)


def release(subscription: Subscription) -> None:
    """Let the schedule go. Rejected where Stripe doesn't and has it still; its answer may have been lost before."""
    if not subscription.stripe_schedule_id:
        return
    try:
        requests.release_schedule(subscription)
    except Rejected:
        look_again(subscription)
        if subscription.stripe_schedule_id:
            raise
    subscription.stripe_schedule_id = None
    intent(subscription)


def cancel(buyer: Actor, *, at_once: bool = False, reason: str | None = None) -> None:
    """At the period's end, or at once, without a refund; at once too where it is not paid for."""
    if Subscription.live_of(buyer.account_id) is None:
        raise Conflict("not_subscribed")
    if (subscription := live_by_now(buyer.account_id)) is None:  # it has ended meanwhile, as is wanted
        return
    subscription.cancel_reason = reason or subscription.cancel_reason
    if at_once or not subscription.gives_rights:
        intent(subscription)
        requests.cancel_now(str(subscription.stripe_id))
    elif not subscription.cancel_at_period_end or subscription.pending_plan_id:
        undo_pending(subscription)
        requests.cancel_at_period_end(subscription, intent(subscription), cancel=True)
    look_again(subscription)


def resume(buyer: Actor) -> None:
    """Undo a pending cancellation or change."""
    subscription = live(buyer)
    undo_pending(subscription)
    look_again(subscription)


def live(buyer: Actor) -> Subscription:
    subscription = live_by_now(buyer.account_id)
    if subscription is None:
        raise Conflict("not_subscribed")
    return subscription


def look_again(subscription: Subscription) -> None:
    sync_subscription(str(subscription.stripe_id))
    commit()


def preview(buyer: Actor, plan: Plan) -> Preview:
    """What a change would cost and do, before the click. Charges nothing."""
    subscription = live(buyer)
    later, monthly = plan.asked_cents, monthly_amount(subscription.account, plan)
    if not subscription.is_upgrade(plan):
        return Preview(plan, False, 0, later, plan.currency, subscription.period_end, 0, monthly)
    if subscription.is_trialing:
        grows = trial_growth(subscription, subscription.account, plan)
        return Preview(plan, True, 0, later, plan.currency, None, grows, monthly)
    product_sync.publish(plan)
    asked = requests.preview_upgrade(subscription, plan)
    grows, ends = growth(subscription, plan, utcnow()), subscription.period_end
    return Preview(plan, True, asked.due_cents, later, asked.currency, ends, grows, monthly, asked.lines)


def end_former(subscription: Subscription) -> None:
    """What was paid for at another Stripe account is over: nobody will tell of a next payment."""
    account = Account.locked(subscription.account_id)
    db.session.refresh(subscription)
    if subscription.id in Subscription.run_out(utcnow()):
        before = payment_mails.Before.of(subscription)
        end_rights(subscription, account)
        payment_mails.of_plan(subscription, account, before)
    commit()


def end_unwanted(subscription_id: int) -> None:
    """End what must not go on: a subscription that was rejected (and pay it back), a plan that is inactive, a
    closed account."""
    subscription = db.session.get_one(Subscription, subscription_id)
    if subscription.former_account_id is not None:
        end_former(subscription)
        return
    stripe_id = subscription.stripe_id
    if stripe_id is None or not client.is_set_up():
        return
    if subscription.rejected_at or subscription.account.closed_at:
        if subscription.ended_at is None:
            requests.cancel_now(stripe_id)
            look_again(subscription)
    elif subscription.is_retired and not subscription.cancel_at_period_end and subscription.is_live:
        look_again(subscription)
        undo_pending(subscription)
        requests.cancel_at_period_end(subscription, intent(subscription), cancel=True)
        look_again(subscription)
