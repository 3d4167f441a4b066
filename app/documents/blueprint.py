"""The blueprint of the pages of documents."""

from flask import Blueprint

documents = Blueprint("documents", __name__, url_prefix="/documents")
