"""What known clients offer with each request and can do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request

SEARCHES = ("web_search", "web_search_preview")


def without_offers(dialect: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Codex offers a web search with each request, unless its user says otherwise: it is left out, not refused."""
    tools = body.get("tools")
    is_codex = dialect == "responses" and request.headers.get("originator", "").startswith("codex")
    if not is_codex or not isinstance(tools, list):
        return dict(body)
    kept = [tool for tool in tools if not (isinstance(tool, Mapping) and tool.get("type") in SEARCHES)]
    return {**body, "tools": kept}
