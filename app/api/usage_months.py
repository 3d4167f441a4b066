"""Monthly totals: chats, documents, images, API calls, tokens and cost."""

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from flask_login import current_user
from sqlalchemy import extract, func, select

from app.api.blueprint import amount, api, page_in
from app.api.schemas import COUNT, PAGING, TEXT, amounts, described, page, shape
from app.extensions import db
from app.models.base import utctoday
from app.models.chat.chat import Chat
from app.models.documents.document import Document
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import in_one_look, start_of, use_since
from app.models.operations.replica_reads import read_from_replica

MONTHS = 24
COUNTS = ("chats", "documents", "images", "api_calls", "calls", "input_tokens", "output_tokens")
MONTH = shape("MonthUsage", id=TEXT, month=TEXT, **dict.fromkeys(COUNTS, COUNT), **amounts("cost"))
Month = tuple[int, int]


@api.get("/usage/months")
@described("List usage by month (UTC), newest first; members see their own", page(MONTH), query=PAGING)
def list_months() -> dict[str, Any]:
    read_from_replica()
    own, first = current_user.sees, first_month(utctoday())
    months = calls_by_month(first, own)
    for name, model in (("chats", Chat), ("documents", Document)):
        for month, count in by_month(model, model.created_at, func.count(), first, own).items():
            months[month][name] += count
    for month, count in images_by_month(first, own).items():
        months[month]["images"] += count
    return page_in([shown_month(month, months[month]) for month in sorted(months, reverse=True)])


@in_one_look
def calls_by_month(since: datetime, first: date, own: dict[str, int]) -> dict[Month, dict[str, int]]:
    """The paid calls, from the days that are added up and those that are not yet."""
    months: dict[Month, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in db.session.execute(select(use_since(first, since, **own))):
        month = months[row.day.year, row.day.month]
        month["api_calls"] += int(row.calls) if row.operation == "gateway" else 0
        for name in ("calls", "input_tokens", "output_tokens"):
            month[name] += int(getattr(row, name))
        month["cost"] += int(row.paid_nanos)
    return months


def images_by_month(first: date, own: dict[str, int]) -> dict[Month, int]:
    return by_month(Usage, Usage.created_at, func.sum(Usage.images), first, own | {"operation": "image"})


def by_month(model: Any, moment: Any, sums: Any, first: date, own: dict[str, Any]) -> dict[Month, int]:
    parts = extract("year", moment), extract("month", moment)
    mine = [getattr(model, name) == value for name, value in own.items()]
    rows = select(*parts, sums).where(*mine, moment >= start_of(first))
    return {(int(year), int(month)): int(n or 0) for year, month, n in db.session.execute(rows.group_by(*parts))}


def first_month(today: date) -> date:
    """The first day of the oldest month that is listed."""
    whole = today.year * 12 + today.month - MONTHS
    return date(whole // 12, whole % 12 + 1, 1)


def shown_month(month: Month, figures: dict[str, int]) -> dict[str, Any]:
    name = f"{month[0]:04d}-{month[1]:02d}"
    return {"id": name, "month": name} | {key: figures[key] for key in COUNTS} | amount("cost", figures["cost"])
