"""Mails about requests of people, and about what awaits an admin."""

import hashlib

from app import mailer
from app.models.base import credits_text
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.limit_request import LimitRequest
from app.models.identity.user import User
from app.models.operations.support_request import SupportRequest
from app.notifications.recipients import admins
from app.web.formatting import date_text


def of_parked(reason: str, invoice: str = "") -> None:
    """Once, however many events tell of the same; a reason that names no `invoice` is told for each."""
    mark = hashlib.sha256(f"{reason}{invoice}".encode()).hexdigest()[:24]
    admins(f"parked:{mark}", "payment_parked", reason=reason, admin_url=mailer.link("event.index_view"))


def of_welcome(user: User, account: Account) -> None:
    """Once, when the first address is confirmed and what waited for it was given."""
    left = account.allowance_nanos + account.credits_nanos
    mailer.post(
        f"welcome:{user.id}",
        user.email,
        "welcome",
        name=user.name,
        plan=account.plan.name,
        available=credits_text(left) if left > 0 else "",
        chat_url=mailer.link("chat.show"),
        billing_url=mailer.link("billing.overview"),
    )


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
        account_name=account.title,
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
        until=date_text(request.granted_until),
        link=mailer.link("chat.show"),
    )
