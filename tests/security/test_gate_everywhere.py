"""Every route that spends is gated, whoever wrote it. security.md, the route walker."""

import inspect
from types import CodeType

from flask import Flask

SPENDING = {"ask", "asked", "answer", "begin_once", "begun", "admit", "reserve"}
"""Whatever calls one of these may start a call that costs money."""


def names_in(code: CodeType) -> set[str]:
    """Every name that a function and those inside it use."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(names_in, inner))


def test_every_route_that_spends_is_gated(app: Flask) -> None:
    views = {rule.endpoint: app.view_functions[rule.endpoint] for rule in app.url_map.iter_rules()}
    plain = {name: inspect.unwrap(view) for name, view in views.items()}
    spending = {
        name for name, view in plain.items() if hasattr(view, "__code__") and names_in(view.__code__) & SPENDING
    }

    assert spending >= {"api.start_chat", "api.send_message", "api.regenerate", "api.edit_message"}
    assert {name for name in spending if not getattr(views[name], "is_gated", False)} == set()
