"""The JSON doors for programs and for the page's own scripts."""

from flask import Flask

from app.api import (
    attachments,
    balances,
    chats,
    keys,
    limits,
    messages,
    offers,
    openapi,
    subscriptions,
    usages,
)
from app.api.blueprint import api


def init_app(app: Flask) -> None:
    app.register_blueprint(api)


__all__ = [
    "attachments",
    "balances",
    "chats",
    "init_app",
    "keys",
    "limits",
    "messages",
    "offers",
    "openapi",
    "subscriptions",
    "usages",
]
