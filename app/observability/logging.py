"""Logs: JSON lines in production, plain ones elsewhere; each with its request's id, none with a prompt or a secret."""

import logging
import secrets
import time
from typing import TextIO

import structlog
from flask import Flask, Response, current_app, g, has_request_context, request
from structlog.types import EventDict, Processor

from app.config import STRIPE_API
from app.lazy_import import LazyImport

sentry_sdk = LazyImport("sentry_sdk")
log = structlog.get_logger("app.request")


def init_logs(app: Flask) -> None:
    write_logs(app)
    if app.config["SENTRY_DSN"]:
        sentry_sdk.init(app.config["SENTRY_DSN"], send_default_pii=False, include_local_variables=False)
    app.before_request(begin_request)
    app.after_request(log_request)


def write_logs(app: Flask, stream: TextIO | None = None) -> None:
    """Write this process's log to `stream`, standard error where none is named."""
    moment = structlog.processors.TimeStamper(fmt="iso")
    shared: list[Processor] = [structlog.stdlib.add_log_level, moment, with_request]
    renderer: Processor = structlog.processors.JSONRenderer() if app.config["APP_ENV"] == "production" else plain()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(app.config["LOG_LEVEL"])
    for noisy in ("httpx2", "httpcore2", "openai", "anthropic", "stripe", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def plain() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=False)


def begin_request() -> None:
    g.request_id = request.headers.get("X-Request-ID", "")[:64] or secrets.token_hex(8)
    g.began = time.monotonic()


def log_request(response: Response) -> Response:
    """One line a request; of the address only the path, since links carry tokens in their last part."""
    if "began" in g and not is_quiet(response):
        milliseconds = round((time.monotonic() - g.began) * 1000, 1)
        rule = request.url_rule.rule if request.url_rule else "unknown"
        log.info("request", method=request.method, rule=rule, status=response.status_code, ms=milliseconds)
        response.headers["X-Request-ID"] = g.request_id
    return response


def is_quiet(response: Response) -> bool:
    """Files, probes, and what the sandbox of a development run reports every few seconds."""
    if request.endpoint == "webhooks.stripe":
        return response.status_code == 200 and current_app.config["STRIPE_API_BASE"] != STRIPE_API
    return request.endpoint in {"static", "pages.healthz", "pages.readyz", "metrics.show"}


def with_request(_logger: object, _name: str, event: EventDict) -> EventDict:
    if has_request_context() and "request_id" in g:
        event["request_id"] = g.request_id
    return event
