"""Holds a value to a type of the installed stripe wheel: TypedDicts of parameters, classes of resources.

Parameters come from a form, so a number is a string of digits there (`form=True`). An enum that the wheel leaves open
(`Union[Literal[...], str]`) is closed here: neither side may use a word that the wheel does not name.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import import_module
from types import UnionType
from typing import Any, ForwardRef, Literal, NotRequired, Required, Union, get_args, get_origin

from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject, UntypedStripeObject
from typing_extensions import get_type_hints, is_typeddict

UNIMPORTED = {"Mapping": Mapping, "StripeContext": str}  # named by RequestOptions for type checkers only
SCALARS = (str, int, bool, float, Decimal, type(None))
WHOLE = re.compile(r"-?\d+")


def problems(value: Any, hint: Any, at: str, *, form: bool = False) -> list[str]:
    """What is wrong with `value` as a `hint`, one line each, beginning with where it is (`items[0].price`)."""
    origin = get_origin(hint)
    if hint in (Any, "Any"):
        return []
    if origin in (Required, NotRequired):
        return problems(value, get_args(hint)[0], at, form=form)
    if origin in (Union, UnionType):
        return union_problems(value, hint, at, form=form)
    if origin is Literal:
        return [] if value in literals(hint, form) else [f"{at}: {value!r} is not one of {get_args(hint)}"]
    if is_typeddict(hint):
        return typed_dict_problems(value, hint, at)
    if isinstance(hint, ForwardRef | str):
        return named_problems(value, name_in(hint), at)
    return container_problems(value, hint, at, form=form)


def name_in(hint: ForwardRef | str) -> str:
    return hint if isinstance(hint, str) else hint.__forward_arg__


def literals(hint: Any, form: bool) -> tuple[Any, ...]:
    return tuple(str(word).lower() if form and isinstance(word, bool) else word for word in get_args(hint))


def container_problems(value: Any, hint: Any, at: str, *, form: bool) -> list[str]:
    origin, inner = get_origin(hint), (get_args(hint) or (Any,))[-1]
    if origin is list:
        if not isinstance(value, list):
            return [f"{at}: {value!r} is not a list"]
        return [line for i, one in enumerate(value) for line in problems(one, inner, f"{at}[{i}]", form=form)]
    if origin is dict or origin is UntypedStripeObject:
        if not isinstance(value, dict):
            return [f"{at}: {value!r} is not an object"]
        return [line for key, one in value.items() for line in problems(one, inner, f"{at}.{key}", form=form)]
    if origin is not None:
        return list_object_problems(value, inner, at)
    if isinstance(hint, type) and issubclass(hint, StripeObject):
        return resource_problems(value, hint, at)
    return scalar_problems(value, hint, at, form=form)


def scalar_problems(value: Any, hint: Any, at: str, *, form: bool) -> list[str]:
    fits = form_fits if form else json_fits
    return [] if fits(value, hint) else [f"{at}: {value!r} is not {getattr(hint, '__name__', hint)}"]


def form_fits(value: Any, hint: Any) -> bool:
    if not isinstance(value, str):
        return False
    if hint is int:
        return bool(WHOLE.fullmatch(value))
    if hint is bool:
        return value in ("true", "false")
    return is_decimal(value) if hint in (float, Decimal) else hint is str


def json_fits(value: Any, hint: Any) -> bool:
    if hint is Decimal:
        return isinstance(value, str) and is_decimal(value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if hint is type(None) else isinstance(value, hint)


def is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def union_problems(value: Any, hint: Any, at: str, *, form: bool) -> list[str]:
    """Those of the choice that fits best, among objects for an object and among scalars for a scalar."""
    scalars, objects = choices(hint)
    if value is None and type(None) in scalars:
        return []
    alike = (objects or scalars) if isinstance(value, dict | list) else (scalars or objects)
    return min((problems(value, choice, at, form=form) for choice in alike), key=len)


@cache
def choices(hint: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A union's scalars and its objects; `str` beside named words is not a choice of its own."""
    every = get_args(hint)
    text = [word for choice in every if get_origin(choice) is Literal for word in get_args(choice)]
    closed = [choice for choice in every if not (choice is str and any(text))]
    scalars = tuple(choice for choice in closed if choice in SCALARS or get_origin(choice) is Literal)
    return scalars, tuple(choice for choice in closed if choice not in scalars)


@cache
def parameters(hint: type) -> dict[str, Any]:
    options = set(RequestOptions.__annotations__)
    hints = get_type_hints(hint, localns=UNIMPORTED, include_extras=True)
    return {name: kind for name, kind in hints.items() if name not in options or hint is RequestOptions}


def typed_dict_problems(value: Any, hint: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is not an object"]
    known = parameters(hint)
    lines = [f"{join(at, name)}: unknown parameter" for name in value if name not in known]
    required = hint.__required_keys__ & set(known)
    lines += [f"{join(at, name)}: missing parameter" for name in sorted(required - set(value))]
    for name in value.keys() & known.keys():
        lines += problems(value[name], known[name], join(at, name), form=True)
    return lines


def join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def named_problems(value: Any, name: str, at: str) -> list[str]:
    """A class that is only known by name there: the value says by its own `object` which one it is."""
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is not a {name}"]
    cls = class_of(value.get("object"))
    if cls is None or cls.__name__ != name:
        return [f"{at}: object {value.get('object')!r} is not a {name}"]
    return resource_problems(value, cls, at)


@cache
def class_of(object_name: str) -> type[StripeObject] | None:
    if object_name not in OBJECT_CLASSES:
        return None
    module, name = OBJECT_CLASSES[object_name]
    result: type[StripeObject] = getattr(import_module(module), name)
    return result


@cache
def fields(cls: type) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, StripeObject) and base is not StripeObject:
            result |= vars(base).get("__annotations__", {})
    encodings = getattr(cls, "_field_encodings", {})
    names = [name for name in result if not name.startswith("_") and name != "OBJECT_NAME"]
    return {name: on_the_wire(result[name], encodings.get(name)) for name in names}


def on_the_wire(hint: Any, encoding: str | None) -> Any:
    """The SDK turns a decimal or 64-bit string into a number; the wire carries the string."""
    if encoding != "int64_string":
        return hint
    return str | None if type(None) in get_args(hint) else str


def resource_problems(value: Any, cls: type, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is not a {cls.__name__}"]
    known = fields(cls)
    if value.get("deleted") is True:
        known = {name: known[name] for name in ("id", "object", "deleted")}
    lines = [f"{join(at, name)}: unknown field of {cls.__name__}" for name in value if name not in known]
    for name, hint in known.items():
        if name in value:
            lines += problems(value[name], hint, join(at, name))
        elif not is_optional(hint):
            lines.append(f"{join(at, name)}: missing field of {cls.__name__}")
    return lines


@cache
def is_optional(hint: Any) -> bool:
    return hint is Any or type(None) in get_args(hint)


def list_object_problems(value: Any, inner: Any, at: str) -> list[str]:
    if not isinstance(value, dict) or value.get("object") != "list":
        return [f"{at}: {value!r} is not a list object"]
    lines = problems(value.get("data"), list[inner], join(at, "data"))
    wanted = {"has_more": bool, "url": str}
    return lines + [f"{join(at, k)}: missing or mistyped" for k, t in wanted.items() if type(value.get(k)) is not t]


def expand_problems(path: str, cls: type) -> list[str]:
    """Whether each step of an `expand` path (`latest_invoice.payments`) is a field of what is there."""
    here: set[Any] = {cls}
    for step in path.split("."):
        if step != "data":
            here = {inner for one in here for inner in classes_in(fields(one).get(step)) if inner is not ListObject}
        if not here:
            return [f"expand: {path!r} cannot be expanded at {step!r}"]
    return []


@cache
def classes_in(hint: Any) -> frozenset[type]:
    if isinstance(hint, ForwardRef | str):
        return named_classes(name_in(hint))
    if get_origin(hint) is not None:
        inside = {cls for one in get_args(hint) for cls in classes_in(one)}
        return frozenset(inside | classes_in(get_origin(hint)))
    return frozenset({hint}) if isinstance(hint, type) and issubclass(hint, StripeObject) else frozenset()


@cache
def named_classes(name: str) -> frozenset[type]:
    result = [key for key, (_, class_name) in OBJECT_CLASSES.items() if class_name == name]
    return frozenset(cls for key in result if (cls := class_of(key)))
