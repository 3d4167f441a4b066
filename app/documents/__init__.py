"""The pages of documents: their list, the editor, and taking one along as a file."""

from flask import Flask

from app.documents import views
from app.web.blueprints import documents


def init_app(app: Flask) -> None:
    app.register_blueprint(documents)
