"""What an admin does for an account: hold it, change its plan, stop charging it, pay it back. Each act is recorded."""

from collections.abc import Callable
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from app.admin.access import owners_only, wants_on
from app.admin.cell_formats import money_text, sold_title
from app.extensions import db
from app.jobs import commit, rollback
from app.models.base import utcnow
from app.models.billing.allowance_refill import next_refill, refill_if_due
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import PaymentsNotSetUp, Rejected, UnknownOutcome
from app.models.billing.subscription import Subscription
from app.models.catalog.currency import decimals
from app.models.catalog.plan import Plan
from app.models.catalog.worth import currency
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.refusal import Conflict, InvalidRequest, Refusal
from app.payments import subscriptions
from app.payments.refunds import refundable_cents, request_refund
from app.web.conflicts import conflict_text
from app.web.formatting import day_and_month
from app.web.numbers import exact
from app.web.refusals import text_of

OUTSIDE = (Rejected, UnknownOutcome, PaymentsNotSetUp)


class AccountActions:
    """The acts on one account; each is a POST with the account's id and answers with its story."""

    row_asked_for: Callable[[], Any]
    go_back: Callable[..., ResponseReturnValue]
    record: Callable[..., None]

    def account_asked_for(self) -> Account:
        account: Account = self.row_asked_for()
        return account

    def back_to(self, account_id: int, text: str, category: str = "success", **typed: str) -> ResponseReturnValue:
        """`typed` stands in the form again."""
        return self.go_back(text, ".details_view", category, id=account_id, **typed)

    @expose("/freeze/", methods=("POST",))
    @owners_only
    def freeze_view(self) -> ResponseReturnValue:
        """Put it on hold, or end the hold, a dispute's included."""
        account = Account.locked(self.account_asked_for().id)
        if wants_on():
            account.freeze("admin")
        else:
            account.unfreeze("admin")
        self.record("freeze" if account.frozen_at else "unfreeze", account, reason=said_why())
        commit()
        return self.back_to(account.id, "Account frozen." if account.frozen_at else "Account unfrozen.")

    @expose("/plan/", methods=("POST",))
    @owners_only
    def plan_view(self) -> ResponseReturnValue:
        """Another plan: through Stripe where there is a subscription, else at once and without payment."""
        account, plan = self.account_asked_for(), Plan.find(request.form.get("plan", ""))
        if plan is None or account.kind == "house":
            abort(404)
        if plan.status == "inactive":
            return self.back_to(account.id, f"Not done: {plan.name} is inactive, its accounts get no usage.", "error")
        if Subscription.live_of(account.id) is None:
            return self.back_to(account.id, self.put_on_plan(account.id, plan))
        asked = {"plan": [sold_title(account.plan), sold_title(plan)]}
        act = "change subscription"
        return self.at_stripe(account, act, asked, lambda: changed(account, plan))

    def put_on_plan(self, account_id: int, plan: Plan) -> str:
        """Comp an account, or move it between plans without a price; the words for the admin."""
        account = Account.locked(account_id)
        moved = {"plan": [sold_title(account.plan), sold_title(plan)]}
        account.plan = plan
        self.record("change plan", account, reason=said_why(), changes=moved)
        refill_if_due(account)
        commit()
        comped = "" if plan.is_free else " (no charge)"
        comes = next_refill(account, utcnow())
        refill = f" The next refill is on {day_and_month(comes.at)}." if comes and comes.at else ""
        return f"This account is now on {plan.name}{comped}.{refill}"

    @expose("/cancel/", methods=("POST",))
    @owners_only
    def cancel_view(self) -> ResponseReturnValue:
        """End the subscription at the period's end, or at once."""
        account, at_once = self.account_asked_for(), request.form.get("when") == "now"
        asked = {"subscription": [None, "cancelled at once" if at_once else "cancelled at the period's end"]}
        return self.at_stripe(account, "cancel subscription", asked, lambda: cancelled(account, at_once=at_once))

    def at_stripe(
        self, account: Account, act: str, changes: dict[str, Any], ask: Callable[[], str]
    ) -> ResponseReturnValue:
        """Ask Stripe for something on an account's behalf; what came of it, in words."""
        account_id = account.id
        try:
            text = ask()
        except (*OUTSIDE, Refusal, Conflict) as error:
            rollback()
            return self.back_to(account_id, f"Not done: {reason_of(error)}", "error")
        self.record(act, db.session.get_one(Account, account_id), reason=said_why(), changes=changes)
        commit()
        return self.back_to(account_id, text)

    @expose("/stop-recharge/", methods=("POST",))
    @owners_only
    def stop_recharge_view(self) -> ResponseReturnValue:
        account = Account.locked(self.account_asked_for().id)
        settings = AutoRecharge.of(account.id)
        if settings is None or not settings.is_on:
            return self.back_to(account.id, "Auto-recharge is already off.")
        settings.turn_off()
        self.record("stop auto-recharge", account, reason=said_why(), changes={"auto_recharge": ["on", "off"]})
        commit()
        return self.back_to(account.id, "Auto-recharge is off. The owner can turn it on again.")

    @expose("/refund/", methods=("POST",))
    @owners_only
    def refund_view(self) -> ResponseReturnValue:
        """Pay a payment back, whole or in part; what was credited for it is taken back when Stripe has done it."""
        account = Account.locked(self.account_asked_for().id)
        payment = Payment.find(request.form.get("payment", ""), account_id=account.id) or abort(404)
        typed = {"payment": str(payment.id), "amount": request.form.get("amount", "")[:20], "reason": said_why()}
        if not said_why():
            return self.back_to(account.id, "Enter a reason. Nothing was refunded.", "error", **typed)
        if request.form.get("left") != str(refundable_cents(payment)):
            text = "Part of this was refunded in the meantime. Check and try again."
            return self.back_to(account.id, text, "error", **typed)
        try:
            refund = request_refund(payment.id, typed_cents(), reason=said_why(), actor_id=current_user.user_id)
        except (InvalidRequest, ValueError) as error:
            rollback()
            return self.back_to(account.id, f"Nothing was refunded: {error}", "error", **typed)
        self.record(
            "refund",
            account,
            reason=said_why(),
            changes={f"payment {payment.id}": [None, money_text(refund.amount_cents)]},
        )
        commit()
        return self.back_to(account.id, f"{money_text(refund.amount_cents)} will be refunded.")


def changed(account: Account, plan: Plan) -> str:
    """Another plan through Stripe: now, once its invoice is paid, or with the next period."""
    must_pay = subscriptions.change_plan(acting_for(account), plan)
    subscription = Subscription.live_of(account.id)
    if subscription is None or subscription.plan_id == plan.id:
        return f"This account is now on {plan.name}."
    if must_pay or subscription.period_end is None:
        return f"The change to {plan.name} waits until its invoice is paid: the owner finds it under Billing."
    return f"This account moves to {plan.name} on {day_and_month(subscription.period_end)}."


def cancelled(account: Account, *, at_once: bool) -> str:
    subscriptions.cancel(acting_for(account), at_once=at_once)
    subscription = Subscription.live_of(account.id)
    if subscription is None or subscription.period_end is None:
        return "The subscription has ended."
    return f"The subscription ends on {day_and_month(subscription.period_end)}."


def reason_of(error: Exception) -> str:
    if isinstance(error, Conflict):
        return conflict_text(error)
    return text_of(error) if isinstance(error, Refusal) else str(error)


def said_why() -> str:
    return request.form.get("reason", "").strip()[:500]


def typed_cents() -> int | None:
    """The amount as it was typed; empty is the whole payment."""
    typed = request.form.get("amount", "").strip()
    return exact(typed, 10 ** decimals(currency())) if typed else None


def acting_for(account: Account) -> Actor:
    """The account's owner, in whose name Stripe is asked."""
    owner = account.owner
    return Actor(owner.id, account.id, "owner", owner.email, owner.name, owner.is_verified)
