"""The API's blueprint, and what its routes share: pages of a list, moments and amounts."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from flask import Blueprint, abort, request
from sqlalchemy import ColumnElement, Label, Select, false, or_

from app.extensions import db
from app.models.base import Model, credits_string, iso, utcnow
from app.models.metering.refusal import InvalidRequest

api = Blueprint("api", __name__, url_prefix="/api")
Row = TypeVar("Row", bound=Model)
Order = tuple[Label[Any], bool]
"""A column by its name, and whether it descends."""

PAGE, LARGEST_PAGE = 50, 200
NOT_OURS = "is not a cursor from this list."


def or_404(row: Row | None) -> Row:
    """The row, or 404: nothing there, or another account's."""
    if row is None:
        abort(404)
    return row


def page_of(query: Select[Row], key: Any, shown: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """One page of a list, newest first by `key` (an id column): `{items, next_cursor}`."""
    rows, next_cursor = rows_of_page(query, key)
    return {"items": [shown(row) for row in rows], "next_cursor": next_cursor}


def rows_of_page(query: Select[Row], key: Any) -> tuple[list[Row], str | None]:
    """Those of the page that is asked for, and the cursor of the next one."""
    limit = query_count("limit", PAGE, LARGEST_PAGE)
    cursor = request.args.get("cursor")
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise InvalidRequest({"cursor": [NOT_OURS]})
        query = query.where(key < int(cursor))
    rows = list(db.session.scalars(query.order_by(key.desc()).limit(limit + 1)))
    return rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None


def page_in(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a short list that is at hand; the cursor is the id of the last row shown."""
    limit, cursor = query_count("limit", PAGE, LARGEST_PAGE), request.args.get("cursor")
    ids = [row["id"] for row in rows]
    if cursor is not None and cursor not in ids:
        raise InvalidRequest({"cursor": [NOT_OURS]})
    start = 0 if cursor is None else ids.index(cursor) + 1
    shown = rows[start : start + limit]
    return {"items": shown, "next_cursor": ids[start + limit - 1] if len(rows) > start + limit else None}


def page_at(query: Select[Any], order: Sequence[Order], shown: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """One page of sums, which have no ids: the cursor holds what the last row shown is grouped by.

    So a row that comes in between moves none. `order` are the columns of the groups, the first ones of the query.
    """
    limit, cursor = query_count("limit", PAGE, LARGEST_PAGE), request.args.get("cursor")
    if cursor is not None:
        query = query.where(*behind(order, values_of(cursor, order)))
    rows = db.session.execute(query.order_by(*in_order(order)).limit(limit + 1)).all()
    last = rows[limit - 1][: len(order)] if len(rows) > limit else None
    return {"items": [shown(row) for row in rows[:limit]], "next_cursor": last and cursor_of(last)}


def in_order(order: Sequence[Order]) -> list[ColumnElement[Any]]:
    return [label.desc() if is_desc else label.asc().nulls_last() for label, is_desc in order]


def behind(order: Sequence[Order], values: Sequence[Any]) -> list[ColumnElement[bool]]:
    """What comes after a row in that order; where a value may be null it comes last."""
    later: ColumnElement[bool] = false()
    for (label, is_desc), value in zip(reversed(order), reversed(values), strict=True):
        column = label.element
        if value is None:
            later = column.is_(None) & later
            continue
        further = column < value if is_desc else or_(column > value, column.is_(None))
        later = or_(further, (column == value) & later)
    return [later]


def cursor_of(values: Iterable[Any]) -> str:
    told = json.dumps([value if value is None else str(value) for value in values])
    return urlsafe_b64encode(told.encode()).decode().rstrip("=")


def values_of(cursor: str, order: Sequence[Order]) -> list[Any]:
    """What `cursor_of` was made of; InvalidRequest for anything else."""
    try:
        told = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        kinds = [READ.get(label.type.python_type, text_of) for label, _is_desc in order]
        return [value if value is None else read(value) for read, value in zip(kinds, told, strict=True)]
    except (ValueError, TypeError, AttributeError):
        raise InvalidRequest({"cursor": [NOT_OURS]}) from None


def number_of(told: str) -> int:
    if not (told.isascii() and told.isdigit() and len(told) <= 18):
        raise ValueError("no id")
    return int(told)


def text_of(told: str) -> str:
    if b"\x00" in told.encode():
        raise ValueError("no text")
    return told


READ: dict[type, Callable[[str], Any]] = {int: number_of, str: text_of, date: date.fromisoformat}


def day_bounds() -> tuple[datetime, datetime]:
    """The query's `from` and `to`: days, both included, or moments; the last 30 days without."""
    now = utcnow()
    start = query_moment("from", now - timedelta(days=30))
    end = query_moment("to", now + timedelta(seconds=1), days=1)
    if end < start:
        raise InvalidRequest({"to": ["is before `from`."]})
    return start, end


def query_moment(name: str, default: datetime, *, days: int = 0) -> datetime:
    """A moment of the query in ISO 8601; a bare day is its beginning, `days` later. UTC where no zone is named."""
    sent = request.args.get(name)
    if sent is None:
        return default
    try:
        value = datetime.fromisoformat(sent.replace(" ", "+"))
        value = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
        return value + timedelta(days=days if len(sent) == len("2026-01-31") else 0)
    except (ValueError, OverflowError):
        raise InvalidRequest({name: ["must be a day (2026-01-31) or a moment (2026-01-31T12:00:00Z)."]}) from None


def query_count(name: str, default: int, most: int) -> int:
    sent = request.args.get(name)
    if sent is None:
        return default
    if not (sent.isascii() and sent.isdigit() and len(sent) <= len(str(most)) and 1 <= int(sent) <= most):
        raise InvalidRequest({name: [f"must be a whole number between 1 and {most}."]})
    return int(sent)


def amount(name: str, nanos: int | None) -> dict[str, Any]:
    """An amount of usage, twice: whole nanos and a decimal string of credits; null where there is none."""
    return {f"{name}_nanos": nanos, f"{name}_credits": None if nanos is None else credits_string(nanos)}


def answer_of(schema: dict[str, Any], row: object, /, **others: Any) -> dict[str, Any]:
    """What a shape says of a row: attributes of the same names, ids as text, moments in UTC, amounts twice.

    `others` are fields that no attribute of that name holds, and `<name>_nanos` of such amounts. TypeError where the
    shape has no such field.
    """
    if unknown := others.keys() - schema["properties"].keys():
        raise TypeError(f"not in the shape: {', '.join(sorted(unknown))}")

    def value(name: str) -> Any:
        if name not in others and name.endswith("_credits"):
            nanos = value(f"{name.removesuffix('_credits')}_nanos")
            return None if nanos is None else credits_string(nanos)
        held = others[name] if name in others else getattr(row, name)
        if isinstance(held, datetime):
            return iso(held)
        return str(held) if held is not None and (name == "id" or name.endswith("_id")) else held

    return {name: value(name) for name in schema["properties"]}
