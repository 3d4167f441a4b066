"""The blueprint of the chat page."""

from flask import Blueprint

chat = Blueprint("chat", __name__)
