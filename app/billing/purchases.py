"""Forms that lead to a payment: packs, auto-recharge, the saved card, Stripe's portal."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import mailer
from app.extensions import db
from app.models.base import NANOS_PER_CREDIT
from app.models.billing.auto_recharge import Recharge
from app.models.billing.payment_errors import Declined
from app.models.catalog.currency import decimals
from app.models.catalog.worth import currency
from app.models.identity.account import Account
from app.payments import auto_recharge as payments_recharge
from app.payments import auto_recharge_settings
from app.payments import checkout as buying
from app.web.access import managers_only
from app.web.blueprints import billing
from app.web.checkout_limits import by_account, wrong_codes
from app.web.numbers import credits_typed, scaled, whole


@billing.post("/checkout")
@managers_only
@by_account("5 per hour")
@wrong_codes
def checkout() -> ResponseReturnValue:
    form = request.form
    pack = buying.pack_on_sale(form.get("pack_id", ""))
    quantity = whole(form.get("quantity") or "1", "quantity")
    typed = form.get("amount", "").strip()
    amount = scaled(typed, 10 ** decimals(currency()), "amount") if typed else None
    order = buying.PackOrder(pack, quantity, form.get("code"), None, amount, "save_card" in form)
    return redirect(buying.buy_pack(current_user, order), 303)


@billing.post("/portal")
@managers_only
def portal() -> ResponseReturnValue:
    return redirect(buying.open_portal(current_user), 303)


@billing.post("/card")
@managers_only
def card() -> ResponseReturnValue:
    """Save a card for auto-recharge."""
    return redirect(buying.save_card(current_user), 303)


@billing.post("/auto-recharge")
@managers_only
def auto_recharge() -> ResponseReturnValue:
    form = request.form
    if form.get("enabled") == "0":
        auto_recharge_settings.turn_off(current_user)
        flash("Auto-recharge is off.")
        return redirect(url_for("billing.overview"), 303)
    options = auto_recharge_settings.RechargeOptions(
        pack_id=form.get("pack_id", ""),
        quantity=whole(form.get("quantity") or "1", "quantity"),
        threshold_nanos=scaled(form.get("threshold_credits", ""), NANOS_PER_CREDIT, "threshold_credits"),
        monthly_max_cents=scaled(form.get("monthly_max", ""), 10 ** decimals(currency()), "monthly_max"),
        target_nanos=credits_typed(form.get("target_credits", ""), "target_credits"),
    )
    saved = auto_recharge_settings.turn_on(current_user, options)
    if saved.setup_url:
        return redirect(saved.setup_url, 303)
    flash("Auto-recharge is on.")
    return redirect(url_for("billing.overview"), 303)


@billing.post("/alert")
@managers_only
def alert() -> ResponseReturnValue:
    """What the owner is told of by mail and on every page: a low balance (an empty field for never), a used-up day."""
    chosen = credits_typed(request.form.get("low_balance_credits", ""), "low_balance_credits")
    account = Account.locked(current_user.account_id)
    account.alert_below_nanos, account.alerts_daily_limit = chosen, "daily_limit" in request.form
    account.warns_near_limits = "near_limits" in request.form
    db.session.commit()
    is_any = chosen or account.alerts_daily_limit or account.warns_near_limits
    flash("Alerts saved." if is_any else "All alerts are off.")
    return redirect(url_for("billing.overview"), 303)


@billing.get("/recharges/<recharge_id>")
@managers_only
def confirm_recharge(recharge_id: str) -> str:
    """Where the link in the mail leads: what the bank wants to have confirmed, and the button."""
    attempt = own_recharge(recharge_id)
    if "back" in request.args:
        payments_recharge.resolve(attempt.id)
        attempt = own_recharge(recharge_id)
    return render_template("billing/confirm.html", recharge=attempt)


@billing.post("/recharges/<recharge_id>")
@managers_only
def confirm(recharge_id: str) -> ResponseReturnValue:
    attempt = own_recharge(recharge_id)
    back = mailer.link("billing.confirm_recharge", recharge_id=attempt.id) + "?back=1"
    if attempt.state != "authentication":
        return redirect(back, 303)
    try:
        bank = payments_recharge.confirm(attempt, back)
    except Declined as refusal:
        flash(f"{refusal} Nothing was charged.")
        bank = None
    return redirect(bank or back, 303)


def own_recharge(recharge_id: str) -> Recharge:
    return Recharge.find(recharge_id, account_id=current_user.account_id) or abort(404)
