"""The schema that an answer is to follow: each vendor takes other parts of JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from app.providers.usage import mapping

Fields = dict[str, Any]
DEFINITIONS = ("$defs", "definitions")
BY_NAME, LISTS = ("properties", *DEFINITIONS), ("anyOf", "allOf", "oneOf")
SAYING = ("type", "enum", "const", "$ref", "properties", *LISTS)
"""One of these says what a value is."""

KNOWN = ("$ref", "type", "enum", "const", "title", "description", "required")
UNTOLD = ("additionalProperties", "$schema", "$id")
FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def is_strict(schema: Any) -> bool:
    """Whether OpenAI takes it as strict: no field of an object may be left out, none added."""
    if not isinstance(schema, Mapping):
        return True
    required = schema.get("required")
    names = {*map(str, required)} if isinstance(required, list) else set()
    is_closed = schema.get("additionalProperties") is False and names == {*mapping(schema.get("properties"))}
    return "allOf" not in schema and (is_closed or not is_object(schema)) and all(map(is_strict, within(schema)))


def claude_schema(schema: Any) -> Fields | None:
    """What Claude can be held to, the rest told in descriptions; None where that would be another schema."""
    return None if is_open(schema) or is_endless(mapping(schema)) else closed(schema)


def closed(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    kept = {name: value for name, value in schema.items() if is_known(name, value)}
    told = {name: value for name, value in schema.items() if name not in kept and name not in UNTOLD}
    for name in BY_NAME:
        if isinstance(parts := told.pop(name, None), Mapping):
            kept[name] = {part: closed(inner) for part, inner in parts.items()}
    for name in LISTS:
        if isinstance(parts := told.pop(name, None), list):
            kept["anyOf" if name == "oneOf" else name] = [closed(inner) for inner in parts]
    if "items" in told:
        kept["items"] = closed(told.pop("items"))
    if is_object(schema):
        kept["additionalProperties"] = False
    if told:
        kept["description"] = f"{kept.get('description', '')} {json.dumps(told, ensure_ascii=False)}".strip()
    return kept


def is_known(name: str, value: Any) -> bool:
    if name in ("format", "minItems"):
        return value in FORMATS if name == "format" else value in (0, 1)
    return name in KNOWN


def is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind)


def is_open(schema: Any) -> bool:
    """Whether anything in it may be anything: a value, or the fields of an object."""
    if not isinstance(schema, Mapping):
        return schema is True
    others = schema.get("additionalProperties")
    is_own = isinstance(others, Mapping) or (is_object(schema) and not schema.get("properties") and others is not False)
    return is_own or not any(name in schema for name in SAYING) or any(map(is_open, within(schema)))


def is_endless(schema: Mapping[str, Any]) -> bool:
    """Whether it holds itself, or one of its definitions does."""
    parts = {f"#/{place}/{name}": part for place in DEFINITIONS for name, part in mapping(schema.get(place)).items()}
    try:
        TopologicalSorter(
            {"#": references(schema), **{name: references(part) for name, part in parts.items()}}
        ).prepare()
    except CycleError:
        return True
    return False


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in within(schema):
            yield from references(part)


def within(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas that one is made of."""
    for name in BY_NAME:
        yield from mapping(schema.get(name)).values()
    for name in LISTS:
        parts = schema.get(name)
        yield from parts if isinstance(parts, list) else ()
    if "items" in schema:
        yield schema["items"]
