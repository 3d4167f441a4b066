"""The chat: its page, and the spine of a call from question to receipt."""

from flask import Flask

from app.chat import routes


def init_app(app: Flask) -> None:
    app.register_blueprint(routes.chat)
