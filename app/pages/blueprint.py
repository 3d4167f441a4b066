"""The blueprint of the public pages and of the support."""

from flask import Blueprint

pages = Blueprint("pages", __name__)
