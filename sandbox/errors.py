"""Errors in Stripe's words: a status and the body that its API answers with."""

from typing import Any

DOCS = "https://docs.stripe.com/error-codes/"


class StripeError(Exception):
    """`fields` are those of Stripe's error object: code, param, decline_code, payment_intent."""

    def __init__(self, status: int, kind: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.fields = {"type": kind, "message": message, **fields}
        if "code" in fields:
            self.fields["doc_url"] = DOCS + fields["code"].replace("_", "-")

    def body(self) -> dict[str, Any]:
        return {"error": self.fields}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    named = {key: value for key, value in (("param", param), ("code", code)) if value}
    return StripeError(400, "invalid_request_error", message, **named)


def missing_param(param: str) -> StripeError:
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def no_such(kind: str, identity: str, param: str = "id") -> StripeError:
    """404 for the object that the request is about, 400 for one that a parameter names."""
    word = kind.rpartition(".")[2]
    message = f"No such {word}: '{identity}'"
    status = 404 if param == "id" else 400
    return StripeError(status, "invalid_request_error", message, param=param, code="resource_missing")


def unexpected_state(message: str, code: str, **fields: Any) -> StripeError:
    return StripeError(400, "invalid_request_error", message, code=code, **fields)
