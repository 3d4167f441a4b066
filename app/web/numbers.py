"""Numbers as people type them, in the smallest units of what they count."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from app.models.metering.refusal import InvalidRequest

LARGEST = 10**9


def whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest({name: ["must be a whole number."]})
    return int(text)


def scaled(text: str, unit: int, name: str) -> int:
    """A decimal number of a form in its smallest units, exactly."""
    try:
        exact = Decimal(text.strip()) * unit
    except InvalidOperation:
        raise InvalidRequest({name: ["must be a number."]}) from None
    if not exact.is_finite() or not 0 <= exact <= LARGEST * unit or exact != int(exact):
        raise InvalidRequest({name: ["must be a positive number, no finer than its unit."]})
    return int(exact)
