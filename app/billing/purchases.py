"""Forms that lead to a payment: packs, auto-recharge, the saved card, Stripe's portal."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import mailer
from app.web.access import managers_only
from app.payments import checkout
from app.stripe_api import client
from app.payments import auto_recharge
from app.payments import auto_recharge_settings
from app.billing.blueprint import billing
from app.web.checkout_limits import by_account
from app.extensions import db
from app.models.identity.account import Account
from app.models.base import NANOS_PER_CREDIT
from app.models.billing.auto_recharge import Recharge
from app.models.metering.refusal import InvalidRequest

LARGEST = 10**9


@billing.post("/checkout")
@managers_only
@by_account("5 per hour")
def checkout() -> ResponseReturnValue:
    pack = checkout.pack_on_sale(request.form.get("pack_id", ""))
    return redirect(
        checkout.buy_pack(current_user, pack, whole(request.form.get("quantity") or "1", "quantity")), 303
    )


@billing.post("/portal")
@managers_only
def portal() -> ResponseReturnValue:
    return redirect(checkout.open_portal(current_user), 303)


@billing.post("/card")
@managers_only
def card() -> ResponseReturnValue:
    """Save a card for auto-recharge."""
    return redirect(checkout.save_card(current_user), 303)


@billing.post("/auto-recharge")
@managers_only
def auto_recharge() -> ResponseReturnValue:
    form = request.form
    if form.get("enabled") == "0":
        auto_recharge_settings.turn_off(current_user)
        flash("Automatic recharge is off.")
        return redirect(url_for("billing.overview"), 303)
    wish = auto_recharge_settings.Wish(
        pack_id=form.get("pack_id", ""),
        quantity=whole(form.get("quantity") or "1", "quantity"),
        threshold_nanos=scaled(form.get("threshold_credits", ""), NANOS_PER_CREDIT, "threshold_credits"),
        monthly_max_cents=scaled(form.get("monthly_max", ""), 100, "monthly_max"),
    )
    saved = auto_recharge_settings.turn_on(current_user, wish)
    if saved.setup_url:
        return redirect(saved.setup_url, 303)
    flash("Automatic recharge is on.")
    return redirect(url_for("billing.overview"), 303)


@billing.post("/alert")
@managers_only
def alert() -> ResponseReturnValue:
    """What the owner is told of by mail and on every page: a low balance (an empty field for never), a used-up day."""
    sent = request.form.get("low_balance_credits", "").strip()
    chosen = scaled(sent, NANOS_PER_CREDIT, "low_balance_credits") if sent else None
    account = Account.locked(current_user.account_id)
    account.alert_below_nanos, account.alerts_daily_limit = chosen, "daily_limit" in request.form
    db.session.commit()
    flash("Your alerts are saved." if chosen or account.alerts_daily_limit else "All alerts are off.")
    return redirect(url_for("billing.overview"), 303)


@billing.get("/recharges/<recharge_id>")
@managers_only
def confirm_recharge(recharge_id: str) -> str:
    """Where the link in the mail leads: what the bank wants to have confirmed, and the button."""
    attempt = own_recharge(recharge_id)
    if "back" in request.args:
        auto_recharge.resolve(attempt.id)
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
        bank = auto_recharge.confirm(attempt, back)
    except client.Declined as refusal:
        flash(f"{refusal} Nothing was charged.")
        bank = None
    return redirect(bank or back, 303)


def own_recharge(recharge_id: str) -> Recharge:
    found = Recharge.find(recharge_id, account_id=current_user.account_id)
    if found is None:
        abort(404)
    return found


def whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest({name: ["must be a whole number."]})
    return int(text)


def scaled(text: str, unit: int, name: str) -> int:
    """A decimal number of a form in its smallest units, exactly."""
    try:
        exact = Decimal(text.strip()) * unit
    except InvalidOperation:
        raise InvalidRequest({name: ["must be a number."]}) from None
    if not exact.is_finite() or not 0 <= exact <= LARGEST * unit or exact != int(exact):
        raise InvalidRequest({name: ["must be a positive number, no finer than its unit."]})
    return int(exact)
