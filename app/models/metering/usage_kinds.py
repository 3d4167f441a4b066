"""Kinds of use: what people count, grouped from operations."""

from typing import Any

from sqlalchemy import literal_column

KINDS = {
    "chat": "chat_message",
    "draft": "document_create",
    "repurpose": "document_create",
    "refine": "document_edit",
    "refine_selection": "document_edit",
    "image": "image",
    "gateway": "api_call",
    "held": "api_call",
    "title": "title",
}
"""By operation; any other is a kind of its own."""


def kind_title(operation: str) -> str:
    title = KINDS.get(operation.partition(":")[0], operation).replace("_", " ").capitalize()
    return title.replace("Api", "API")


def kind_column(table: str) -> Any:
    """The same of a table's column, in the words of both databases: no parameters, so that it can be grouped by."""
    cases = " ".join(f"WHEN '{name}' THEN '{kind}'" for name, kind in KINDS.items())
    held = f"WHEN {table}.operation LIKE 'held:%' THEN 'api_call'"
    return literal_column(f"CASE {held} ELSE CASE {table}.operation {cases} ELSE {table}.operation END END")
