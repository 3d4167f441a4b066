"""The blueprints of the pages, to which the modules of each folder add their routes."""

from flask import Blueprint

auth = Blueprint("auth", __name__)
billing = Blueprint("billing", __name__, url_prefix="/billing")
chat = Blueprint("chat", __name__)
documents = Blueprint("documents", __name__, url_prefix="/documents")
pages = Blueprint("pages", __name__)
