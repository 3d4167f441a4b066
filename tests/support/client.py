"""A test client whose requests see nothing of the test's own app context, as in production."""

from contextvars import Context
from typing import Any

from flask.testing import FlaskClient


class SeparateClient(FlaskClient):
    """Each request runs in an empty context: its own database session, its own `g`."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        return Context().run(super().open, *arguments, **options)
