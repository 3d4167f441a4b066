"""Holds every answer of the API, in whichever test, against the API's own description."""

from functools import cache
from typing import Any

from flask import Response, request
from jsonschema import Draft202012Validator, FormatChecker

from app.api.openapi import PARAMETER, document

UNDESCRIBED = {"/api/openapi.json", "/api/docs"}
description = cache(document)


class Described:
    """A hook after each request; `problems` names what is of another status, media type or shape than described."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def __call__(self, response: Response) -> Response:
        is_of_api = request.url_rule is not None and (request.endpoint or "").startswith("api.")
        if is_of_api and request.method != "OPTIONS":
            self.problems.extend(deviations(response))
        return response


def deviations(response: Response) -> list[str]:
    """What is not as the description says, one line each."""
    path = PARAMETER.sub(r"{\1}", str(request.url_rule))
    operation = description()["paths"].get(path, {}).get(request.method.lower().replace("head", "get"))
    if operation is None:
        return [] if path in UNDESCRIBED else [f"{request.method} {path} is not described"]
    status = str(response.status_code)
    answer = operation["responses"].get(status) or operation["responses"].get(f"{status[0]}XX")
    if answer is None:
        return [f"{request.method} {path} answered {status}, which is not described"]
    if not answer.get("content"):
        return [f"{path}: a body where none is described"] if response.data else []
    media = answer["content"].get(response.mimetype) or answer["content"].get("*/*")
    if media is None:
        return [f"{path} {status} came as {response.mimetype}"]
    return mistakes(media["schema"], response) if response.is_json else []


def mistakes(schema: dict[str, Any], response: Response) -> list[str]:
    whole = schema | {"components": description()["components"]}
    result = Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(response.json)
    return [f"{request.path}: {error.message} at {error.json_path}" for error in result]
