"""What was used over JSON: of a chat, by day, model, operation and user, and the receipt of each call.

Sums are of calls that were paid; a call that failed costs nothing and has a receipt of its own.
"""

from typing import Any

from flask import Response, request
from flask_login import current_user
from sqlalchemy import Row, Select, func, select

from app.api.blueprint import amount, api, day_bounds, in_order, or_404, page_at
from app.api.receipts import RECEIPT, shown_receipt
from app.api.schemas import (
    AS_CSV,
    COUNT,
    DAY,
    PAGING,
    TEXT,
    Schema,
    amounts,
    array,
    described,
    or_null,
    page,
    shape,
)
from app.extensions import db
from app.models.identity.api_key import ApiKey
from app.models.identity.user import User
from app.models.metering.refusal import InvalidRequest
from app.models.metering.usage import Usage
from app.models.metering.usage_kinds import kind_column
from app.models.metering.usage_rollup import belongs_to
from app.models.operations.replica_reads import read_from_replica
from app.web.access import own_chat
from app.web.csv import CSV, csv_of, wants_csv

FIGURES: dict[str, Schema] = {
    "calls": COUNT,
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    **amounts("cost"),
}
CHAT_USAGE = shape("ChatUsage", by_model=array(shape("ModelUsage", model=TEXT, **FIGURES)), **FIGURES)
BY_KEY: dict[str, Schema] = {"key_id": or_null(TEXT), "key": or_null(TEXT)}
"""Null where a person called."""

USAGE_ROW: Schema = {
    "title": "UsageRow",
    "type": "object",
    "properties": {
        "day": DAY,
        "model": TEXT,
        "operation": TEXT,
        "kind": TEXT,
        "user_id": TEXT,
        "user": TEXT,
        **BY_KEY,
        **FIGURES,
    },
    "required": sorted(FIGURES),
    "additionalProperties": False,
}
GROUPS: dict[str, tuple[Any, ...]] = {
    "day": (Usage.day.label("day"),),
    "model": (Usage.model.label("model"),),
    "operation": (Usage.operation.label("operation"),),
    "kind": (kind_column("usages").label("kind"),),
    "key": (Usage.api_key_id.label("key_id"), ApiKey.name.label("key")),
    "user": (Usage.user_id.label("user_id"), User.email.label("user")),
}
SUMS = (
    func.count().label("calls"),
    func.sum(Usage.input_tokens).label("input_tokens"),
    func.sum(Usage.output).label("output_tokens"),
    func.sum(Usage.paid_nanos).label("cost"),
)


@api.get("/usage/chat/<chat_id>")
@described("Get a chat's usage, in total and by model", CHAT_USAGE)
def read_chat_usage(chat_id: str) -> dict[str, Any]:
    chat = own_chat(chat_id)
    rows = db.session.execute(grouped(["model"]).where(Usage.chat_id == chat.id).order_by(Usage.model))
    by_model = [shown_row(row) for row in rows]
    sums = {name: sum(row[name] for row in by_model) for name in ("calls", "input_tokens", "output_tokens")}
    cost = sum(row["cost_nanos"] for row in by_model)
    return {**sums, **amount("cost", cost), "by_model": by_model}


@api.get("/usage")
@described(
    "Get usage, one row per combination of the groups; members see their own",
    page(USAGE_ROW),
    query={
        "from": {"type": "string", "description": "From this day or time. Default: 30 days ago."},
        "to": {
            "type": "string",
            "description": "Until the end of this day, or before this time. Default: now.",
        },
        "group_by": {
            "type": "string",
            "default": "day",
            "description": "Any of day, model, operation, kind, user, key, separated by commas.",
        },
    }
    | PAGING
    | AS_CSV,
    also_as=CSV,
)
def list_usage() -> dict[str, Any] | Response:
    read_from_replica()
    groups = [name.strip() for name in request.args.get("group_by", "day").split(",")]
    if unknown := [name for name in groups if name not in GROUPS]:
        raise InvalidRequest({"group_by": [f"{unknown[0][:40]!r} is not one of {', '.join(GROUPS)}."]})
    groups = list(dict.fromkeys(groups))
    start, end = day_bounds()
    within = Usage.created_at >= start, Usage.created_at < end
    columns = [column for group in groups for column in GROUPS[group]]
    query, order = grouped(groups).where(*within), [(column, column.name == "day") for column in columns]
    if not wants_csv():
        return page_at(query, order, shown_row)
    names = [column.name for column in columns]
    rows = map(shown_row, db.session.execute(query.order_by(*in_order(order))))
    return csv_of("usage", [*names, *FIGURES], rows)


@api.get("/usage/calls/<call_id>")
@described("Get a call's receipt, with all it takes to recompute its cost", RECEIPT)
def read_receipt(call_id: str) -> dict[str, Any]:
    return shown_receipt(or_404(Usage.find(call_id, **current_user.sees)))


def grouped(groups: list[str]) -> Select[Any]:
    """The sums of the paid calls that the caller may see, by these groups."""
    columns = [column for group in groups for column in GROUPS[group]]
    query = select(*columns, *SUMS).where(*belongs_to(Usage, current_user.sees), Usage.state == "settled")
    if "key" in groups:
        query = query.outerjoin(ApiKey, ApiKey.id == Usage.api_key_id)
    if "user" in groups:
        query = query.join(User, User.id == Usage.user_id)
    return query.group_by(*columns)


def shown_row(row: Row[Any]) -> dict[str, Any]:
    named = row._mapping
    keys = {
        name: str(named[name]) for name in ("day", "model", "operation", "kind", "user_id", "user") if name in named
    }
    if "key_id" in named:
        keys |= {"key_id": named["key_id"] and str(named["key_id"]), "key": named["key"]}
    sums = {name: int(named[name] or 0) for name in ("calls", "input_tokens", "output_tokens")}
    return keys | sums | amount("cost", int(named["cost"] or 0))
