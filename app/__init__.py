"""Tollgate: an AI chat with everything around the money."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import admin, api, auth, billing, chat, config, documents, errors, gateway, metrics, pages
from app.addresses import INSTANCE
from app.extensions import babel, db, limiter, mailman
from app.observability import logging
from app.web import formatting, hosts, page_context, rate_limits, security_headers


class Tollgate(Flask):
    """Flask asks of each function at each call whether it is a coroutine. None is: gunicorn's workers are threads."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(environ: Mapping[str, str] | None = None, *, has_commands: bool = True) -> Flask:
    """The application, configured from the environment (or from `environ`)."""
    app = Tollgate(__name__, instance_path=str(INSTANCE), static_folder="static")
    app.config.from_mapping(config.from_environment(environ))
    logging.init_logs(app)
    db.init_app(app)
    mailman.init_app(app)
    babel.init_app(app)
    app.after_request(rate_limits.keep_wait)
    limiter.init_app(app)
    formatting.init_filters(app)
    page_context.init_frame(app)
    security_headers.init_headers(app)
    hosts.init_hosts(app)
    for part in (auth, pages, chat, documents, billing, api, gateway, admin, errors, metrics):
        part.init_app(app)
    if has_commands:
        from app import cli  # noqa: PLC0415 - Alembic and the like are a tenth of a web process

        cli.init_app(app)
    if app.config["PROXY_COUNT"]:
        hops = app.config["PROXY_COUNT"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app
