"""The chat: its page, and the spine of a call from question to receipt."""

from flask import Flask

from app.chat import keeping, routes
from app.chat.blueprint import chat


def init_app(app: Flask) -> None:
    app.register_blueprint(chat)


__all__ = ["init_app", "keeping", "routes"]
