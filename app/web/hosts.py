"""Refuses requests for a host that is not ours, before anything else looks at the name."""

from typing import Any

from flask import Flask, abort, current_app, request
from werkzeug.exceptions import SecurityError

OF_PROGRAMS = ("/api/", "/v1/", "/webhooks/", "/metrics")
PLAIN = "Use https:// for this. Replace what was sent in the open, such as a key."
NOT_OURS = "There's nothing here under that host name."


def init_hosts(app: Flask) -> None:
    app.wsgi_app = LowerHost(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(refuse_foreign_hosts)
    app.before_request(refuse_plain_http)


def refuse_foreign_hosts() -> None:
    """Flask tells of it once it comes to a view; what runs before would ask for addresses that it cannot build."""
    if isinstance(request.routing_exception, SecurityError):
        raise SecurityError(NOT_OURS)


def refuse_plain_http() -> None:
    """A program is told where the proxy says that its request came without TLS; sent on, it would go on like that."""
    is_told = current_app.config["PROXY_COUNT"] and "X-Forwarded-Proto" in request.headers
    is_meant = current_app.config["BASE_URL"].startswith("https://") and request.path.startswith(OF_PROGRAMS)
    if is_told and is_meant and not request.is_secure:
        abort(400, PLAIN)


class LowerHost:
    """Names of hosts have no capitals (RFC 9110, 4.2.3)."""

    def __init__(self, wsgi_app: Any) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if "HTTP_HOST" in environ:
            environ["HTTP_HOST"] = environ["HTTP_HOST"].lower()
        return self.wsgi_app(environ, start_response)
