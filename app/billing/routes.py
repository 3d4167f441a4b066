"""The billing pages: plan and balance, usage, transactions, receipts."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_login import current_user

from app.extensions import db
from app.models.base import utcnow
from app.models.metering import standing_shown

billing = Blueprint("billing", __name__, url_prefix="/billing")


@billing.get("/")
def overview() -> str:
    now = utcnow()
    standing = standing_shown(current_user.account_id, now)
    db.session.commit()
    account = current_user.account
    return render_template("billing/billing.html", account=account, plan=account.plan, balance=standing.balance(now))
