"""What happens to sign-ins, credentials and rights: a line in the log for each, and a mail where its person must know.

No secret and no address is in a line; `network` is what limits count by.
"""

import logging
import secrets
from typing import Any

from flask import Response, has_request_context, request
from flask_login import current_user

from app import mailer
from app.models.identity.api_key import ApiKey
from app.models.identity.user import User
from app.web.formatting import date_text
from app.web.network_address import network

log = logging.getLogger("app.security")


def note(event: str, user_id: int | None = None, **fields: Any) -> None:
    """Write the event down; by default it is about who makes the request."""
    who = user_id if user_id is not None else getattr(current_user, "user_id", None)
    where = network() if has_request_context() else None
    log.info("security", extra={"event_name": event, "user": who, "network": where, **fields})


def note_forbidden(response: Response) -> Response:
    """Who tried what is not theirs to do."""
    if response.status_code == 403 and request.url_rule:
        note("forbidden", rule=request.url_rule.rule, method=request.method)
    return response


def key_made(key: ApiKey, user: User, event: str = "key made") -> None:
    """A key's new secret is told to its person: a stranger in their session would make one to stay."""
    note(event, user.id, key=key.prefix, scopes=key.scopes)
    context = {
        "name": user.name,
        "key_name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "ends": date_text(key.expires_at),
        "is_rotated": event == "key rotated",
    }
    link = mailer.link("auth.settings")
    mailer.post(f"key:{secrets.token_hex(8)}", user.email, "key_made", **context, settings_url=link)
