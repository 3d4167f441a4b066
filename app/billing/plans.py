"""Forms about the plan: choose, look at what a change costs, change, cancel, keep."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.payments import promotion_codes, subscriptions
from app.web.access import managers_only
from app.web.blueprints import billing
from app.web.checkout_limits import by_account, note_wrong_code, wrong_codes
from app.web.formatting import reader_date

REASONS = {
    "price": "It's too expensive",
    "unused": "I don't use it enough",
    "missing": "Something is missing",
    "quality": "It didn't work well enough",
    "switched": "I use something else",
    "other": "Another reason",
}


@billing.post("/plan")
@managers_only
@by_account("5 per hour")
@wrong_codes
def choose_plan() -> ResponseReturnValue:
    """From the pricing page: a new subscription leads to its checkout, a change to its preview."""
    plan = subscriptions.plan_on_offer(request.form.get("plan_id", ""))
    if Subscription.live_of(current_user.account_id) is not None:
        return redirect(url_for("billing.preview_change", plan_id=plan.id), 303)
    order = subscriptions.PlanOrder(plan, request.form.get("code"))
    address = subscriptions.subscribe(current_user, order)
    if address is None:
        flash(f"You're now on {plan.name}.")
    return redirect(address or url_for("billing.overview"), 303)


@billing.get("/change/<plan_id>")
@managers_only
def preview_change(plan_id: str) -> ResponseReturnValue:
    """What a change would cost now and later, and how the allowance grows, before the click."""
    plan = subscriptions.plan_on_offer(plan_id)
    subscription = Subscription.live_of(current_user.account_id)
    if subscription is not None and subscription.plan_id == plan.id:
        flash(f"You're already on {plan.name}.")
        return redirect(url_for("billing.overview"), 303)
    preview = subscriptions.preview(current_user, plan)
    return render_template("billing/change.html", preview=preview, plan=plan, subscription=subscription)


@billing.post("/change/<plan_id>")
@managers_only
def change(plan_id: str) -> ResponseReturnValue:
    plan = subscriptions.plan_on_offer(plan_id)
    if request.form.get("price_cents", str(plan.asked_cents)) != str(plan.asked_cents):
        flash(f"The price of {plan.name} just changed. Check it and try again; nothing was charged.")
        return redirect(url_for("billing.preview_change", plan_id=plan.id), 303)
    address = subscriptions.change_plan(current_user, plan)
    flash("One more step: pay the invoice for the change." if address else what_was_done(plan))
    return redirect(address or url_for("billing.overview"), 303)


def what_was_done(plan: Plan) -> str:
    """What changed already, or what will and when."""
    subscription = Subscription.live_of(current_user.account_id)
    if subscription is None or subscription.plan_id == plan.id or subscription.period_end is None:
        return f"You're now on {plan.name}."
    return f"You'll move to {plan.name} on {reader_date(subscription.period_end)}."


@billing.get("/cancel")
@managers_only
def ask_to_cancel() -> ResponseReturnValue:
    """When it is to end, and why."""
    subscription = Subscription.live_of(current_user.account_id)
    if subscription is None:
        return redirect(url_for("billing.overview"), 303)
    return render_template("billing/cancel.html", subscription=subscription, reasons=REASONS)


@billing.post("/cancel")
@managers_only
def cancel() -> ResponseReturnValue:
    reason = request.form.get("reason", "")
    known = reason if reason in REASONS else None
    at_once = request.form.get("at_once") == "1"
    subscriptions.cancel(current_user, at_once=at_once, reason=known)
    what = "Your plan has ended." if at_once else "Your plan won't renew. You can undo this until it ends."
    flash(f"{what} You keep the credits you bought.")
    return redirect(url_for("billing.overview"), 303)


@billing.get("/start")
@managers_only
@wrong_codes
def start() -> ResponseReturnValue:
    """What a visitor chose before they had an account: on to its checkout, by a form that sends itself."""
    plan = Plan.find(request.args.get("plan_id", ""), status="active")
    pack = CreditPack.find(request.args.get("pack_id", ""), status="active")
    sold = plan or pack
    if sold is None:
        return redirect(url_for("pages.pricing"), 303)
    return render_template("billing/start.html", plan=plan, pack=pack, **chosen_code(sold))


def chosen_code(sold: Plan | CreditPack) -> dict[str, Any]:
    """The code that the visitor had typed, where the new account may use it for that."""
    typed = request.args.get("code", "")
    wanted = sold if isinstance(sold, Plan) else sold.quote()
    try:
        return {"code": promotion_codes.code_for(current_user.account, typed, wanted), "code_typed": typed}
    except promotion_codes.WrongCode as wrong:
        note_wrong_code()
        return {"code": None, "code_typed": typed, "code_error": f"This code {wrong.errors['code'][0]}"}


@billing.post("/resume")
@managers_only
def resume() -> ResponseReturnValue:
    subscriptions.resume(current_user)
    flash("Your plan continues.")
    return redirect(url_for("billing.overview"), 303)
