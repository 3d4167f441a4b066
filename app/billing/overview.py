"""The billing page: plan, balance, what can be bought, what was paid."""

from datetime import date, datetime, timedelta

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import func, select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import monthly_amount, next_refill
from app.models.billing.auto_recharge import PAUSES, AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import NotFound
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack
from app.models.metering.balance import window_ends
from app.models.metering.gate_checks import tomorrow
from app.models.metering.plan_limits import PlanLimits
from app.models.metering.reservation import load_account_state
from app.models.metering.usage_rollup import in_one_look, start_of, use_since
from app.payments import session_sync
from app.payments.checkout import is_set_up
from app.web.access import managers_only
from app.web.blueprints import billing

MOST_SHOWN = 100
PACE, LONGEST_SHOWN, DAY = timedelta(days=14), 60, 86_400


@billing.get("")
@managers_only
def overview() -> str:
    now = utcnow()
    account_state = load_account_state(current_user.account_id, now)
    db.session.commit()
    account = current_user.account
    settings = AutoRecharge.of(account.id)
    # What was paid or is being paid, newest first; checkouts that were left are not shown.
    begun = Payment.state.not_in(("open", "canceled")) | (Payment.kind == "recharge")
    mine = select(Payment).where(Payment.account_id == account.id, begun).order_by(Payment.id.desc())
    return render_template(
        "billing/billing.html",
        account=account,
        plan=account.plan,
        balance=account_state.balance(now),
        limits=PlanLimits.of(account_state),
        daily_resets_at=tomorrow(now),
        window_resets_at=window_ends(now, account.window_hours) if account.window_hours else None,
        comes=next_refill(account, now),
        monthly_nanos=monthly_amount(account, account.plan),
        packs=CreditPack.on_offer(),
        subscription=Subscription.live_of(account.id),
        is_given=Subscription.in_force_for(account.id) is None,
        payments=list(db.session.scalars(mine.limit(MOST_SHOWN))),
        can_pay=is_set_up(),
        days_left=days_left(account.id, account_state.balance(now).available, now),
        recharge=settings,
        recharged_cents=settings.month_total_cents(utcnow()) if settings else 0,
        pause_words=PAUSES.get(settings.pause_reason) if settings else None,
    )


def days_left(account_id: int, available: int, now: datetime) -> int | None:
    """How long the balance lasts at the pace of the last days; None without use, or where it is long enough."""
    used, first = used_since((now - PACE).date(), account_id)
    if not used or first is None or available <= 0:
        return None
    seconds = max(int((now - start_of(first)).total_seconds()), DAY)
    days = available * seconds // (int(used) * DAY)
    return days if days <= LONGEST_SHOWN else None


@in_one_look
def used_since(since: datetime, first: date, account_id: int) -> tuple[int, date | None]:
    """What was paid for calls from that day on, and the first day with one."""
    use = use_since(first, since, account_id=account_id)
    paid, began = db.session.execute(select(func.sum(use.c.paid_nanos), func.min(use.c.day))).one()
    return int(paid or 0), began


@billing.get("/return")
@managers_only
def returned() -> ResponseReturnValue:
    """Where Stripe sends a customer back to. Says what became of it, and waits while nobody knows yet.

    Nothing is believed of the address but which session to ask Stripe for; it must be this account's.
    """
    session_id = request.args.get("session_id", "")
    if not session_id:
        return redirect(url_for("billing.overview"))
    payment, subscription = own_session(session_id)
    try:
        outcome = session_sync.look_up(session_id, current_user.account_id)
    except NotFound:
        abort(404)
    if payment is None and subscription is None and not outcome.is_own:
        abort(404)
    db.session.expire_all()
    return render_template(
        "billing/returned.html",
        state="failed" if payment is not None and payment.state == "failed" else outcome.state,
        payment=payment,
        subscription=subscription,
        account=current_user.account,
    )


def own_session(session_id: str) -> tuple[Payment | None, Subscription | None]:
    """What the session is to pay for; 404 where that is another account's."""
    sold: tuple[Payment | None, Subscription | None] = (
        Payment.by(stripe_session_id=session_id),
        Subscription.by(stripe_session_id=session_id),
    )
    if any(row is not None and row.account_id != current_user.account_id for row in sold):
        abort(404)
    return sold
