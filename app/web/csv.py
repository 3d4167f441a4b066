"""Lists as CSV, where a caller asks for it: no cell that a spreadsheet would take for a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from flask import Response, request

from app.models.metering.refusal import InvalidRequest

CSV = "text/csv"
KEPT_IN_MEMORY, PIECE = 1_000_000, 65_536
BYTE_ORDER_MARK = "\ufeff"
"""By which Excel knows the text as UTF-8; for what a browser takes home, not for programs."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The wide signs too, which some spreadsheets read as the others."""


def wants_csv() -> bool:
    """By `?format=csv`, else by the Accept header."""
    form = request.args.get("format")
    if form not in {None, "json", "csv"}:
        raise InvalidRequest({"format": ["must be json or csv."]})
    return form == "csv" if form else request.accept_mimetypes.best_match(["application/json", CSV]) == CSV


def csv_of(name: str, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Response:
    """The rows' columns under a heading, as a file called `name`."""
    return csv_table(name, columns, ([row[column] for column in columns] for row in rows))


def csv_table(name: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    pieces = written(headings, rows, has_mark="text/html" in request.headers.get("Accept", ""))
    response = Response(chain([next(pieces)], pieces), content_type=f"{CSV}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def written(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, has_mark: bool) -> Iterator[bytes]:
    """All of it, from disk where it is long: no row waits in memory, and no connection while it is sent."""
    with SpooledTemporaryFile(KEPT_IN_MEMORY) as file:
        text = io.TextIOWrapper(cast(IO[bytes], file), "utf-8", newline="")
        text.write(BYTE_ORDER_MARK if has_mark else "")
        writer = csv.writer(text)
        writer.writerow(headings)
        writer.writerows([safe(cell) for cell in row] for row in rows)
        text.detach().seek(0)
        while piece := file.read(PIECE):
            yield piece


def safe(cell: Any) -> Any:
    """A text that begins like a formula gets an apostrophe before it; an amount of credits is a number."""
    is_formula = isinstance(cell, str) and cell.startswith(FORMULA_STARTS) and not is_number(cell)
    return f"'{cell}" if is_formula else cell


def is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdecimal() and cell.isascii()
