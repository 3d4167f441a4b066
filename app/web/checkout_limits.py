"""How many checkouts an account may begin. security.md 11."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_login import current_user

from app.extensions import limiter
from app.web.rate_limits import is_off, refusing


def by_account(limits: str) -> Callable[[Any], Any]:
    """At most so many checkouts of one account, whatever for and by whatever door."""
    return limiter.shared_limit(
        limits, scope="checkout", key_func=account_key, methods=["POST"], exempt_when=is_off
    )


@refusing
def account_key() -> str:
    return f"account-{current_user.account_id}"
