"""The chat: its page, and the spine of a call from question to receipt."""

from flask import Flask

from app.chat import chat_actions, shared, views
from app.generation.registry import give_place_back
from app.web.blueprints import chat


def init_app(app: Flask) -> None:
    app.register_blueprint(chat)
    app.teardown_appcontext(give_place_back)
