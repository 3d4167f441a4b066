"""Request bodies: each one model that validates and describes."""

from typing import Annotated, Any, Self

from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails
from werkzeug.exceptions import BadRequest

from app.models.base import NANOS_PER_CREDIT
from app.models.metering.refusal import InvalidRequest
from app.web.numbers import amount

LARGEST = 10**15
MOST_CHARACTERS = 10**7


def storable(text: str) -> str:
    """Text without what no database or provider takes: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def digits(value: Any) -> Any:
    """Programs may send the digits of an id as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def nanos(credits: Any) -> int:
    if isinstance(credits, bool) or not isinstance(credits, str | int):
        raise ValueError("must be a string.")
    return amount(str(credits), NANOS_PER_CREDIT)


def not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty.")
    return text


Text = Annotated[StrictStr, AfterValidator(storable), Field(max_length=MOST_CHARACTERS)]
Filled = Annotated[Text, AfterValidator(not_blank)]
"""A text that says something."""

Identifier = Annotated[StrictStr, BeforeValidator(digits), Field(max_length=50)]
Code = Annotated[StrictStr, AfterValidator(storable), Field(max_length=100)]
Count = Annotated[StrictInt, Field(ge=1, le=LARGEST)]
CountOrNone = Annotated[StrictInt, Field(ge=0, le=LARGEST)]
Flag = StrictBool
Credits = Annotated[
    int,
    BeforeValidator(nanos),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d{1,6})?$"}),
]
"""An amount of credits, never negative, kept in nanos."""

FileIds = Annotated[
    list[Annotated[StrictStr, Field(pattern=r"^[0-9]{1,18}$")]],
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]


class Body(BaseModel):
    """A JSON object; fields that it does not know are ignored, null is the same as left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, regex_engine="python-re")

    @classmethod
    def read(cls) -> Self:
        """The request's body. InvalidRequest names each field that is wrong."""
        return cls.of(sent_json())

    @classmethod
    def of(cls, sent: dict[str, Any]) -> Self:
        given = {name: value for name, value in sent.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise InvalidRequest(messages(error)) from None

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema of the body, without the titles that pydantic makes of field names."""
        made: dict[str, Any] = cls.model_json_schema()
        for field in made.get("properties", {}).values():
            field.pop("title", None)
        return made | {"required": made.get("required", [])}


def sent_json() -> dict[str, Any]:
    """The request's JSON object; InvalidRequest for anything else."""
    try:
        sent = request.get_json(force=True) if request.get_data(cache=True) else {}
    except (BadRequest, RecursionError):
        raise InvalidRequest({"body": ["is not JSON."]}) from None
    if not isinstance(sent, dict):
        raise InvalidRequest({"body": ["must be a JSON object."]})
    return sent


def messages(error: ValidationError) -> dict[str, list[str]]:
    """Each field that is wrong, with what is wrong about it."""
    told: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        message = message_of(detail)
        wrong = told.setdefault(str(detail["loc"][0]) if detail["loc"] else "body", [])
        if message not in wrong:
            wrong.append(message)
    return told


def message_of(detail: ErrorDetails) -> str:
    bounds = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(bounds["error"])
    if detail["type"] in {"string_too_long", "too_long"} and isinstance(detail["input"], str):
        return f"is longer than {bounds['max_length']:,} characters."
    if detail["type"] in BOUNDS:
        return BOUNDS[detail["type"]].format(**bounds)
    return MESSAGES.get(detail["type"], "isn't valid.")


MESSAGES = {
    "missing": "is missing.",
    "string_type": "must be a string.",
    "string_pattern_mismatch": "must be a list of ids of files.",
    "int_type": "must be a whole number.",
    "bool_type": "must be true or false.",
    "list_type": "must be a list of ids of files.",
}
BOUNDS = {
    "greater_than_equal": "must be at least {ge}.",
    "less_than_equal": "must be at most {le}.",
    "too_long": "are more than {max_length}; send them in several messages.",
}
