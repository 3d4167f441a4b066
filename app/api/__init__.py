"""The JSON doors for programs and for the page's own scripts."""

from flask import Flask

from app.api import attachments, chats, keys, messages, openapi, subscriptions
from app.api import balance
from app.api import rate_limits
from app.api import catalog
from app.api import usage
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
