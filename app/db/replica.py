"""The engine of a hot standby, and the session that reads from it once a request has chosen so."""

from typing import Any

from flask import g
from flask_sqlalchemy.session import Session

REPLICA = "replica"
"""The name of its bind, and what its connections are called at the server."""


class RoutedSession(Session):
    def get_bind(self, *arguments: Any, **named: Any) -> Any:
        return g.get(REPLICA) or super().get_bind(*arguments, **named)


def replica_options(url: str) -> dict[str, Any]:
    """A few connections that can only read, and are not waited for long."""
    told = {"application_name": REPLICA, "connect_timeout": 2, "tcp_user_timeout": 5_000}
    pool = {"pool_size": 3, "max_overflow": 0, "pool_timeout": 5}
    reading = {"execution_options": {"postgresql_readonly": True}, "hide_parameters": True}
    return {"url": url, "connect_args": told, **pool, **reading}
