"""What a program sent, as the limits read it: the same as the views do, whatever the request calls its body."""

from typing import Any

from flask import request
from werkzeug.exceptions import HTTPException


def sent_object() -> dict[str, Any]:
    """The JSON object of the request; {} for none, and for what the view will refuse."""
    try:
        sent = request.get_json(force=True, silent=True) if request.get_data(cache=True) else None
    except (HTTPException, RecursionError):
        return {}
    return sent if isinstance(sent, dict) else {}
