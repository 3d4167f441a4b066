"""The blueprint of people and teams."""

from flask import Blueprint

auth = Blueprint("auth", __name__)
