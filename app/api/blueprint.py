"""The API's blueprint, and what its routes share: bodies, pages of a list, moments and amounts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flask import Blueprint, abort, request
from sqlalchemy import Select
from werkzeug.exceptions import BadRequest

from app.extensions import db
from app.models.base import Model, credits_string, utcnow
from app.models.metering.refusal import InvalidRequest

api = Blueprint("api", __name__, url_prefix="/api")
Row = TypeVar("Row", bound=Model)
PAGE, LARGEST_PAGE = 50, 200
NOT_OURS = "is not one that this list gave."


def body() -> dict[str, Any]:
    """The request's JSON object; InvalidRequest for anything else."""
    try:
        sent = request.get_json(force=True) if request.get_data(cache=True) else {}
    except (BadRequest, RecursionError):
        raise InvalidRequest({"body": ["is not JSON."]}) from None
    if not isinstance(sent, dict):
        raise InvalidRequest({"body": ["must be a JSON object."]})
    return sent


def text_field(sent: dict[str, Any], name: str, *, required: bool = False, most: int = 10**7) -> str | None:
    """A string of the body that any database can store; InvalidRequest names the field."""
    value = sent.get(name)
    if value is None:
        if required:
            raise InvalidRequest({name: ["is missing."]})
        return None
    if not isinstance(value, str):
        raise InvalidRequest({name: ["must be a string."]})
    if len(value) > most:
        raise InvalidRequest({name: [f"is longer than {most} characters."]})
    text = storable(value)
    if required and not text.strip():
        raise InvalidRequest({name: ["is empty."]})
    return text


def storable(text: str) -> str:
    """Text without what no database or provider takes: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def count_field(sent: dict[str, Any], name: str, *, lowest: int = 1, most: int = 10**15) -> int | None:
    """A whole number of the body; InvalidRequest where it is none or out of its bounds."""
    value = sent.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest({name: ["must be a whole number."]})
    if not lowest <= value <= most:
        raise InvalidRequest({name: [f"must be between {lowest} and {most}."]})
    return value


def flag_field(sent: dict[str, Any], name: str) -> bool | None:
    """A true or false of the body; InvalidRequest where it is anything else."""
    value = sent.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest({name: ["must be true or false."]})
    return value


def or_404(row: Row | None) -> Row:
    """The row, or 404: nothing there, or another account's."""
    if row is None:
        abort(404)
    return row


def page_of(query: Select[Row], key: Any, shown: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """One page of a list, newest first by `key` (an id column): `{items, next_cursor}`."""
    limit = query_count("limit", PAGE, LARGEST_PAGE)
    cursor = request.args.get("cursor")
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise InvalidRequest({"cursor": [NOT_OURS]})
        query = query.where(key < int(cursor))
    rows = list(db.session.scalars(query.order_by(key.desc()).limit(limit + 1)))
    more = len(rows) > limit
    return {
        "items": [shown(row) for row in rows[:limit]],
        "next_cursor": str(rows[limit - 1].id) if more else None,
    }


def page_in(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a short list that is at hand; the cursor is the id of the last row shown."""
    limit, cursor = query_count("limit", PAGE, LARGEST_PAGE), request.args.get("cursor")
    ids = [row["id"] for row in rows]
    if cursor is not None and cursor not in ids:
        raise InvalidRequest({"cursor": [NOT_OURS]})
    start = 0 if cursor is None else ids.index(cursor) + 1
    shown = rows[start : start + limit]
    return {"items": shown, "next_cursor": ids[start + limit - 1] if len(rows) > start + limit else None}


def page_at(query: Select[Any], shown: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """One page of sums, which have no ids; the cursor is a number of rows."""
    limit, cursor = query_count("limit", PAGE, LARGEST_PAGE), request.args.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise InvalidRequest({"cursor": [NOT_OURS]})
    rows = db.session.execute(query.offset(int(cursor)).limit(limit + 1)).all()
    more = str(int(cursor) + limit) if len(rows) > limit else None
    return {"items": [shown(row) for row in rows[:limit]], "next_cursor": more}


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
        raise InvalidRequest(
            {name: ["must be a day (2026-01-31) or a moment (2026-01-31T12:00:00Z)."]}
        ) from None


def query_count(name: str, default: int, most: int) -> int:
    sent = request.args.get(name)
    if sent is None:
        return default
    if not (sent.isascii() and sent.isdigit() and 1 <= int(sent[:18]) <= most):
        raise InvalidRequest({name: [f"must be a whole number between 1 and {most}."]})
    return int(sent)


def amount(name: str, nanos: int | None) -> dict[str, Any]:
    """An amount of usage, twice: whole nanos and a decimal string of credits; null where there is none."""
    return {f"{name}_nanos": nanos, f"{name}_credits": None if nanos is None else credits_string(nanos)}


def moment(value: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return None if value is None else value.isoformat().replace("+00:00", "Z")
