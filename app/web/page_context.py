"""What the frame of every page shows: the brand, the balance, the person's accounts, where one is."""

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request, session
from flask_login import current_user
from sqlalchemy import Row, select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import monthly_amount
from app.models.billing.subscription import Subscription
from app.models.catalog.setting import Setting
from app.models.catalog.worth import about_a_dollar, tax_note
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.metering.account_state import AccountState
from app.models.metering.alerts import due_alerts
from app.models.metering.key_limit import spendable
from app.models.metering.spending import SpendingPause
from app.web.access import is_guest
from app.web.branding import brand, brand_name
from app.web.form_errors import sent_form
from app.web.guest_session import WAS_GUEST, guest_mark
from app.web.plan_features import starts_free


def init_frame(app: Flask) -> None:
    names = (
        brand,
        brand_name,
        header_balance,
        admin_address,
        alerts,
        spending_pauses,
        own_accounts,
        awaits_verification,
        free_allowance,
        here,
        browser_owner,
        shown_account,
        passkey_site,
        guest_before,
        sent_form,
        tax_note,
        starts_free,
        about_a_dollar,
    )
    app.jinja_env.globals.update({name.__name__: name for name in names})


def admin_address() -> str:
    """Where the admin is: here, or on a host of its own."""
    host, scheme = current_app.config["ADMIN_HOST"], current_app.config["BASE_URL"].partition(":")[0]
    return f"{scheme}://{host}/admin/" if host else "/admin/"


def browser_owner() -> str:
    """Whose the drafts are that the browser keeps: a person's in an account; a guest's; nobody's (security.md 31)."""
    if is_guest():
        return guest_mark(current_user.guest)
    return f"{current_user.user_id} {current_user.account_id}" if current_user.is_authenticated else ""


def shown_account() -> str:
    """The account that the page is shown for, sent along with what is asked from it; "" for guests and nobody."""
    return str(current_user.account_id) if current_user.is_authenticated else ""


def passkey_site() -> str | None:
    """The name that passkeys are bound to, from the public address; None where that is an IP address."""
    host = urlsplit(current_app.config["BASE_URL"]).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


def guest_before() -> str:
    """The mark of the guest that the person was in this browser: the drafts follow the chats."""
    return session.get(WAS_GUEST, "") if current_user.is_authenticated else ""


def header_balance() -> dict[str, Any]:
    """The caller's balance for the header: `available` and `low` in nanos, `is_low`."""
    available = spendable(own_account_state(), current_user, utcnow())
    low = Setting.get("low_balance")
    return {"available": available, "low": low, "is_low": available < low}


def own_account_state() -> AccountState:
    """How the caller's account stands, read once a request."""
    if "own_account_state" not in g:
        g.own_account_state = AccountState.load(current_user.account_id)
    account_state: AccountState = g.own_account_state
    return account_state


def alerts() -> set[str]:
    """What the line at the top of the page tells: what was chosen, and always that a payment failed."""
    alerts = due_alerts(own_account_state(), utcnow())
    subscription = Subscription.live_of(current_user.account_id) if current_user.can_manage else None
    return alerts | {"payment_failed"} if subscription is not None and subscription.is_unpaid else alerts


def spending_pauses() -> list[SpendingPause]:
    """What of the account is paused; read only where something is."""
    account_state = own_account_state()
    if account_state.spending_paused_at is None and not account_state.paused_keys:
        return []
    return SpendingPause.open_of(account_state.account_id)


def own_accounts() -> Sequence[Row[int, str, str, str]]:
    """The accounts that the caller may act on: id, name, kind, role."""
    columns = select(Account.id, Account.name, Account.kind, Membership.role)
    mine = Membership.user_id == current_user.user_id, Account.closed_at.is_(None)
    return db.session.execute(columns.join(Membership.account).where(*mine).order_by(Account.id)).all()


def awaits_verification() -> bool:
    """Whether the caller's sends, and their free allowance, wait for the address to be confirmed."""
    return not current_user.is_verified and bool(Setting.get("require_verified_email"))


def free_allowance() -> int:
    """What the caller's account gets a month without paying: nothing for a team, or a second one of an address."""
    account = current_user.account
    return monthly_amount(account, account.plan)


def here(path: str) -> bool:
    """Whether the page is at that path or under it, for the mark in the navigation."""
    return request.path == path or request.path.startswith(f"{path}/")
