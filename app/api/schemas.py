"""What a route takes and gives, said beside the route: the API description is made from it, and tests hold to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.api.bodies import Body

View = TypeVar("View", bound=Callable[..., Any])
Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time", "pattern": "Z$"}
DAY: Schema = {"type": "string", "format": "date"}
CREDITS: Schema = {"type": "string", "pattern": r"^-?\d+(\.\d{1,6})?$"}
JSON = "application/json"
EVENTS = "text/event-stream"
FILES = "*/*"


@dataclass(frozen=True)
class Operation:
    """One method of one route. `answers` are bodies by status (None: an empty one); errors need not be named."""

    summary: str
    answers: Mapping[int, Schema | None]
    body: type[Body] | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    kind: str = JSON
    also_as: str | None = None


def described(
    summary: str,
    answer: Schema | None = None,
    *,
    status: int | tuple[int, ...] = 200,
    body: type[Body] | None = None,
    query: Mapping[str, Schema] | None = None,
    headers: Mapping[str, Schema] | None = None,
    kind: str = JSON,
    also_as: str | None = None,
) -> Callable[[View], View]:
    """Say what a view is for, what it takes, and what it answers when it succeeds, as `kind` and `also_as`."""
    statuses = status if isinstance(status, tuple) else (status,)
    operation = Operation(summary, dict.fromkeys(statuses, answer), body, query or {}, headers or {}, kind, also_as)

    def describe(view: View) -> View:
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return describe


def shape(name: str, /, **properties: Schema) -> Schema:
    """An object that always has exactly these fields."""
    return {
        "title": name,
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def amounts(*names: str) -> dict[str, Schema]:
    """Each amount of usage twice: whole nano-dollars, and credits as a decimal string."""
    return {key: schema for name in names for key, schema in ((f"{name}_nanos", WHOLE), (f"{name}_credits", CREDITS))}


def amounts_or_null(*names: str) -> dict[str, Schema]:
    return {key: or_null(schema) for key, schema in amounts(*names).items()}


def array(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def page(item: Schema) -> Schema:
    """A page of a list; `next_cursor` is null on the last."""
    return shape(f"{item['title']}Page", items=array(item), next_cursor=or_null(TEXT))


PAGING: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
    "cursor": {"type": "string", "description": "The `next_cursor` of the previous page."},
}
AS_CSV: dict[str, Schema] = {"format": {"enum": ["json", "csv"], "description": "Or send `Accept: text/csv`."}}
