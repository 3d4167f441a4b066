"""Numbers as people type them, in the smallest units of what they count."""

from __future__ import annotations

import re
from decimal import Decimal

from app.models.metering.refusal import InvalidRequest

LARGEST = 10**9
NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?|[+-]?\.\d{1,20}", re.ASCII)


def whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest({name: ["must be a whole number."]})
    return int(text)


def scaled(text: str, unit: int, name: str) -> int:
    """A decimal number of a form in its smallest units, exactly."""
    if not NUMBER.fullmatch(text.strip()):
        raise InvalidRequest({name: ["must be a number."]})
    exact = Decimal(text.strip()) * unit
    if not 0 <= exact <= LARGEST * unit or exact != int(exact):
        raise InvalidRequest({name: ["must be a positive number, no finer than its unit."]})
    return int(exact)
