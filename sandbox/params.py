"""Request parameters: Stripe's bracketed forms, and each value as the type that an operation wants."""

from collections.abc import Iterable
from typing import Any

from sandbox.errors import invalid, missing_param

Params = dict[str, Any]


def parse_form(pairs: Iterable[tuple[str, str]]) -> Params:
    """`a[b][0]=c` -> `{"a": {"b": ["c"]}}`; `a[]=c` adds to a list."""
    tree: Params = {}
    for key, value in pairs:
        steps = key.replace("]", "").split("[")
        here = tree
        for step in steps[:-1]:
            here = here.setdefault(step, {})
        here[steps[-1] or str(len(here))] = value
    return {name: with_lists(value) for name, value in tree.items()}


def with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inside = {name: with_lists(one) for name, one in value.items()}
    if inside and all(name.isdigit() for name in inside):
        return [inside[name] for name in sorted(inside, key=int)]
    return inside


def required(params: Params, name: str) -> Any:
    if params.get(name) in (None, ""):
        raise missing_param(name)
    return params[name]


def integer(params: Params, name: str, default: int | None = None) -> int | None:
    """None for an absent or empty parameter without a default."""
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer") from None


def whole(params: Params, name: str, default: int = 0) -> int:
    matches = integer(params, name, default)
    return default if matches is None else matches


def flag(params: Params, name: str, default: bool = False) -> bool:
    value = params.get(name, default)
    if value in (True, "true"):
        return True
    if value in (False, "false", ""):
        return False
    raise invalid(f"Invalid boolean: {value}", name)


def text(params: Params, name: str, default: str | None = None) -> str | None:
    """An empty string unsets the field, as Stripe has it."""
    value = params.get(name, default)
    return None if value == "" else value


def nested(params: Params, name: str) -> Params:
    value = params.get(name)
    return value if isinstance(value, dict) else {}


def merged_metadata(current: dict[str, str] | None, params: Params) -> dict[str, str]:
    """Keys are added; an empty value unsets its key, an empty `metadata` unsets all."""
    if "metadata" not in params:
        return dict(current or {})
    if params["metadata"] == "":
        return {}
    together = {**(current or {}), **nested(params, "metadata")}
    return {key: value for key, value in together.items() if value != ""}
