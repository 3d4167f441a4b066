"""Numbers as people type them, in the smallest units of what they count."""

import re
from decimal import Decimal

from app.models.base import NANOS_PER_CREDIT
from app.models.metering.refusal import InvalidRequest

LARGEST = 10**9
LARGEST_STORED = 10**17
THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(,\d{3}){1,6}(\.\d{1,20})?", re.ASCII)
FIGURE = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?|[+-]?\.\d{1,20}", re.ASCII)
SIGNS = str.maketrans("", "", " \u00a0\u202f_$€£¥%")


def exact(text: str, unit: int) -> int:
    """A figure as people type it ("20", "20.00", "20,00", "1,000") in whole units; ValueError says what is wrong."""
    typed = text.translate(SIGNS)
    typed = typed.replace(",", "") if THOUSANDS.fullmatch(typed) else typed.replace(",", ".")
    if not FIGURE.fullmatch(typed):
        raise ValueError("Enter a number, such as 20 or 20.00.")
    units = Decimal(typed) * unit
    if units != units.to_integral_value():
        places = len(str(unit)) - 1
        raise ValueError(f"Use at most {places} decimal places." if places else "Enter a whole number.")
    if abs(units) > LARGEST_STORED:
        raise ValueError("This number is too large.")
    return int(units)


def whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest({name: ["must be a whole number."]})
    return int(text)


def amount(text: str, unit: int) -> int:
    """The same within the bounds of what is sold and limited."""
    units = exact(text, unit)
    if not 0 <= units <= LARGEST * unit:
        raise ValueError(f"must be from 0 to {LARGEST:,}.")
    return units


def scaled(text: str, unit: int, name: str) -> int:
    """A number of a form in its smallest units, exactly; written as people do: "$20", "1,000", "20,00"."""
    try:
        return amount(text, unit)
    except ValueError as error:
        raise InvalidRequest({name: [str(error)]}) from None


def credits_typed(text: str, name: str) -> int | None:
    """The credits of a form's field in nanos; None where it is empty."""
    return scaled(text, NANOS_PER_CREDIT, name) if text.strip() else None
