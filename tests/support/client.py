"""A test client whose requests see nothing of the test's own app context, as in production."""

import secrets
from contextvars import Context
from typing import Any

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer


class SeparateClient(FlaskClient):
    """Each request runs in an empty context: its own database session, its own `g`."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        return Context().run(super().open, *arguments, **options)


def form_token(client: FlaskClient, **options: Any) -> str:
    """The token that forms hold on the pages of this browser, without a page. `options` are those of its requests."""
    with client.session_transaction(**options) as held:
        raw = held.setdefault("csrf_token", secrets.token_hex(20))
    return URLSafeTimedSerializer(str(client.application.secret_key), salt="wtf-csrf-token").dumps(raw)
