"""How often a second factor may be tried, wherever it is asked for: one count per person. security.md 11."""

from flask_login import current_user

from app.extensions import limiter
from app.web.browser_session import who_waits
from app.web.rate_limits import is_off, refusing

TRIES = "6 per minute; 30 per hour"
WRONG = "Wrong code. Each code works once, so wait for the next one."


@refusing
def who_tries() -> str:
    user = who_waits()
    return f"second-factor:{user.id if user else getattr(current_user, 'user_id', 0)}"


tries = limiter.shared_limit(TRIES, scope="second factor", key_func=who_tries, methods=["POST"], exempt_when=is_off)
