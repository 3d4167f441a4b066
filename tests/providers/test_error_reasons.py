"""What went wrong, by each vendor's own error: type and message say more than a code that is the status alone."""

from typing import Any

import pytest

from app.providers.errors import failure, reason_of_event, reason_of_status


def error(message: str, kind: str | None = None, code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            error("the request exceeds the available context size", "exceed_context_size_error", 400),
            "too_long",
        ),
        (error("This model's maximum context length is 4096 tokens.", "BadRequestError", 400), "too_long"),
        (
            {
                "object": "error",
                "message": "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
                "type": "BadRequestError",
                "code": 400,
            },
            "too_long",
        ),
        (error("prompt is too long: 200001 tokens > 200000 maximum", "invalid_request_error"), "too_long"),
        (
            error("The input token count (9) exceeds the maximum number of tokens allowed (8)", None, 400),
            "too_long",
        ),
        (
            error("Invalid request: Your request exceeded model token limit: 8192", "invalid_request_error"),
            "too_long",
        ),
        (error("This model's maximum prompt length is 131072", "invalid_request_error"), "too_long"),
        (
            error(
                "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
                None,
                "3051",
            ),
            "too_long",
        ),
        (error("litellm.ContextWindowExceededError: too long", None, "400"), "too_long"),
        (error("The model `llama-9` does not exist.", "NotFoundError", 404), "gone"),
        (error("Model Not Exist", "invalid_request_error", "invalid_request_error"), "gone"),
        (error("llama-9 is not a valid model ID", None, 400), "gone"),
        (error("Invalid model: llama-9", "invalid_model", "1500"), "gone"),
        (error("Could not process image", "invalid_request_error"), "image"),
        (error("Invalid image data.", "invalid_request_error", "invalid_image"), "image"),
        (error("temperature must be below 2", "invalid_request_error", 400), "rejected"),
        (error("temperature must be below 2", "BadRequestError", "400"), "rejected"),
        (error("Insufficient Balance", "unknown_error", "invalid_request_error"), "credentials"),
        ([error("The input token count (9) exceeds the maximum number of tokens allowed (8).")], "too_long"),
        ([error("Unable to process input image. Please retry", None, 400)], "image"),
        (error("API key not valid. Please pass a valid API key.", None, 400), "credentials"),
        (error("image_url: base64 data is not valid", None, 400), "image"),
        (error("Prompt exceeds max length", None, 1210), "too_long"),
        (error("Range of input length should be [1, 30720]", "invalid_request_error"), "too_long"),
        ("Prompt is too long", "too_long"),
        ({"detail": "Input is too long for the requested model."}, "too_long"),
        (
            {"detail": [{"loc": ["body"], "msg": "prompt too long: 900 tokens", "type": "value_error"}]},
            "too_long",
        ),
        ({"code": 400, "error": "This model's maximum prompt length is 131072"}, "too_long"),
    ],
)
def test_a_refused_request_is_told_by_its_words(body: Any, reason: str) -> None:
    assert reason_of_status(400, body) == reason
    assert reason_of_event(body) == reason


@pytest.mark.parametrize(
    ("code", "reason"), [(429, "rate_limited"), ("500", "unavailable"), (504, "timeout")]
)
def test_a_numeric_code_counts_where_nothing_else_is_said(code: Any, reason: str) -> None:
    assert reason_of_event(error("It went wrong.", None, code)) == reason


def test_a_pace_that_is_too_high_is_not_a_chat_that_is_too_long() -> None:
    body = error(
        "Request too large for this model: tokens per minute limit, reduce the length",
        "tokens",
        "rate_limit_exceeded",
    )

    assert reason_of_status(429, body) == "rate_limited"


def test_only_what_the_request_itself_caused_is_the_sender_s() -> None:
    reasons = (
        "too_long",
        "image",
        "rejected",
        "gone",
        "credentials",
        "timeout",
        "unavailable",
        "cut",
        "malformed",
    )

    assert [failure(reason).is_of_sender for reason in reasons] == [True] * 3 + [False] * 6


@pytest.mark.parametrize(
    "body", [None, [], [[]], {}, {"error": None}, {"detail": []}, {"detail": [{}]}, {"error": [{}]}, 7, ""]
)
def test_a_body_that_says_nothing_is_the_status_alone(body: Any) -> None:
    assert reason_of_event(body) == "unavailable"
    assert reason_of_status(400, body) == "rejected"
