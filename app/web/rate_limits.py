"""How often an address, or an account's address, may try: sign-in, sign-up, reset. security.md 11 and 24."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from flask import Response, request
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import TooManyRequests

from app.extensions import limiter
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.identity.user import User, normalised_address

Decorator = Callable[[Any], Any]


def is_off() -> bool:
    """Whether the installation has no rate limits: `RATELIMIT_ENABLED`, else the admin's setting."""
    return not Setting.get("ratelimit_enabled")


def network() -> str:
    """Where a request comes from: an address, or the /64 that one owner of IPv6 addresses has at hand."""
    address = get_remote_address()
    if ":" not in address:
        return address
    return str(ip_network(f"{address.partition('%')[0]}/64", strict=False))


def typed_address() -> str:
    """The mailbox that the form names, in one spelling, so that +tags do not count anew."""
    return normalised_address(request.form.get("email", ""))


def was_refused(response: Response) -> bool:
    return response.status_code >= 400


def was_taken(response: Response) -> bool:
    return not was_refused(response)


def by_machine(limits: str, *, counts: Callable[[Response], bool] | None = None) -> Decorator:
    """At most so many POSTs from one network address; of all, or of those whose answer `counts`."""
    return limiter.limit(limits, methods=["POST"], exempt_when=is_off, deduct_when=counts)


def by_mailbox(limits: str, *, counts: Callable[[Response], bool] | None = None) -> Decorator:
    """At most so many POSTs that name one mailbox, from wherever."""
    return limiter.limit(
        limits, key_func=typed_address, methods=["POST"], exempt_when=is_off, deduct_when=counts
    )


def check_signups() -> None:
    """The setting of sign-ups a day, all network addresses together."""
    now = utcnow()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if User.signed_up_since(midnight) >= Setting.get("signups_per_day"):
        tomorrow = midnight + timedelta(days=1)
        raise TooManyRequests(retry_after=int((tomorrow - now).total_seconds()) + 1)
