"""The JSON doors for programs and for the page's own scripts."""

from flask import Flask

from app.api import (
    attachments,
    balance,
    breaker,
    catalog,
    chats,
    document_calls,
    documents,
    estimates,
    images,
    keys,
    messages,
    new_chats,
    openapi,
    own_limits,
    promotion_codes,
    rate_limits,
    reservations,
    revisions,
    subscriptions,
    usage,
    usage_months,
)
from app.api.blueprint import api


def init_app(app: Flask) -> None:
    app.register_blueprint(api)
