"""The blueprint of the billing pages."""

from flask import Blueprint

billing = Blueprint("billing", __name__, url_prefix="/billing")
