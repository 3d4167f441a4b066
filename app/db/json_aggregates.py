"""Query results as one JSON value, so that one statement brings them along, on both databases."""

from typing import Any, ClassVar

from sqlalchemy import JSON
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class JsonAggregate(FunctionElement[Any]):
    """`{}` in its form is its columns."""

    type = JSON()
    inherit_cache = True
    forms: ClassVar[dict[str, str]]


class JsonObject(JsonAggregate):
    """Keys and values: one object; null without a row."""

    inherit_cache = True
    forms: ClassVar[dict[str, str]] = {
        "postgresql": "json_object_agg({})",
        "sqlite": "json_group_object({})",
    }


class JsonRows(JsonAggregate):
    """Columns: one array of arrays, in any order; null without a row."""

    inherit_cache = True
    forms: ClassVar[dict[str, str]] = {
        "postgresql": "json_agg(json_build_array({}))",
        "sqlite": "json_group_array(json_array({}))",
    }


@compiles(JsonAggregate)
def compiled(element: Any, compiler: Any, **options: Any) -> str:
    columns = compiler.process(element.clauses, **options)
    return str(element.forms[compiler.dialect.name].format(columns))
