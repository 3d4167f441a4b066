"""What went wrong, by each vendor's own error: type and message say more than a code that is the status alone."""

from typing import Any

import pytest

from app.providers.errors import failure, is_error, reason_of_event, reason_of_status


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


RAW = """{"error":{"message":"This model's maximum context length is 262144 tokens. Yours has 262897."}}"""
LITELLM = "litellm.BadRequestError: AnthropicException - prompt is too long: 209441 tokens > 200000 maximum"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, {"error": {"message": "Provider error", "code": 400, "metadata": {"raw": RAW}}}, "too_long"),
        (429, {"error": {"message": "Provider error", "metadata": {"raw": "m is rate-limited"}}}, "rate_limited"),
        (400, error(LITELLM, None, "400"), "too_long"),
        (400, error("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"), "too_long"),
        (400, error("Prompt 超长", None, "1261"), "too_long"),
        (400, {"base_resp": {"status_code": 2013, "status_msg": "context window exceeds limit"}}, "too_long"),
        (400, "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000", "too_long"),
        (400, error("prompt tokens limit exceeded: 10000 > 8192", None, 400), "too_long"),
        (400, {"message": "too many tokens: size limit exceeded by 19296 tokens."}, "too_long"),
        (413, error("Request too large on tokens per minute", "tokens", "rate_limit_exceeded"), "rate_limited"),
        (413, error("Request too large for m on tokens per minute (TPM): Limit 6000"), "rate_limited"),
        (400, "litellm.RateLimitError: GroqException - on tokens per minute (TPM): reduce", "rate_limited"),
        (413, error("Payload Too Large"), "too_long"),
        (401, error("login fail: Please carry the API secret key (1004)", "authorized_error"), "credentials"),
        (500, error("insufficient balance (1008)", "api_error"), "credentials"),
        (400, {"errors": [{"code": 5007, "message": "No such model m or task"}], "success": False}, "gone"),
        (400, error("max_tokens is too large: 99999. It supports at most 16384 completion tokens"), "rejected"),
        (403, error("m requires moderation. Your input was flagged for violence.", None, 403), "moderated"),
        (400, {"code": "DataInspectionFailed", "message": "May contain inappropriate content."}, "moderated"),
        (400, error("系统检测到可能包含不安全或敏感内容", None, "1301"), "moderated"),
        (400, {"code": "An invalid argument", "error": "Content violates usage guidelines."}, "moderated"),
        (400, error("The response was filtered", None, "content_filter"), "moderated"),
        (403, error("Project does not have access to model", None, "model_not_found"), "gone"),
        (404, error("No endpoints found for m:free.", None, 404), "gone"),
        (404, error("No endpoints found that support image input", None, 404), "image"),
        (400, error("At most 0 image(s) may be provided in one prompt."), "image"),
        (400, error("m is not a multimodal model"), "image"),
        (400, error("image.source.base64: image exceeds 5 MB maximum"), "image"),
        (400, error("Image size is 15.2MB, which exceeds the allowed limit of 10.0MB."), "image"),
        (400, error("image dimensions exceed max allowed size: 8000 pixels"), "image"),
        (400, error("Error while downloading", None, "invalid_image_url"), "image"),
        (400, {"message": "The provided model identifier is invalid."}, "gone"),
        (400, error("Access denied", None, "Arrearage"), "credentials"),
        (429, error("余额不足或无可用资源包", None, "1113"), "credentials"),
        (400, error("Budget has been exceeded! Current cost: 1.0", "budget_exceeded", "400"), "credentials"),
        (400, error("User location is not supported for the API use.", None, 400), "credentials"),
        (429, error("You exceeded your current quota, please check your plan.", None, 429), "credentials"),
        (429, error("You exceeded your current quota.\nPlease retry in 36.6s.", None, 429), "rate_limited"),
        (403, "<!DOCTYPE html><title>Just a moment...</title>", "credentials"),
        (498, error("flex tier capacity exceeded", None, "capacity_exceeded"), "unavailable"),
        (424, {"error": "Incomplete generation", "error_type": "incomplete_generation"}, "unavailable"),
        (409, error("conflict"), "unavailable"),
        (529, error("Overloaded", "overloaded_error"), "unavailable"),
    ],
)  # fmt: skip
def test_a_status_and_what_came_with_it_say_why(status: int, body: Any, reason: str) -> None:
    assert reason_of_status(status, body) == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "unavailable"), (1001, "timeout"), (1002, "rate_limited"), (1004, "credentials"),
        (1008, "credentials"), (1024, "unavailable"), (1026, "moderated"), (1027, "moderated"),
        (1033, "unavailable"), (1039, "rate_limited"), (1041, "rate_limited"), (1042, "rejected"),
        (2013, "rejected"), (2045, "rate_limited"), (2049, "credentials"), (2056, "credentials"), (1, "unavailable"),
    ],
)  # fmt: skip
def test_minimax_has_codes_of_its_own(code: int, reason: str) -> None:
    assert reason_of_event({"base_resp": {"status_code": code, "status_msg": "token limit" * (code == 1039)}}) == reason
    assert reason_of_event(error(f"it went wrong ({code:04d})")) == (reason if code > 999 else "unavailable")


@pytest.mark.parametrize(
    ("event", "is_one"),
    [
        ({"error": {"message": "no"}}, True),
        ({"message": "no", "code": "InternalError"}, True),
        ({"type": "error", "message": "no"}, True),
        ({"detail": "Not Found"}, True),
        ({"base_resp": {"status_code": 1008}}, True),
        ({"base_resp": {"status_code": 0}}, False),
        ({"choices": None, "base_resp": {"status_code": 1004}}, True),
        ({"choices": [{"delta": {}}], "base_resp": {"status_code": 1027}}, True),
        ({"choices": [{"delta": {}}], "base_resp": {"status_code": 0}}, False),
        ({"success": False, "errors": [{"code": 5007}]}, True),
        ({"success": True, "errors": [], "result": {"response": "Hi"}}, False),
        ({"error": None, "choices": [{"delta": {}}], "code": None, "message": "ok"}, False),
        ({"type": "message_start", "message": {"usage": {}}}, False),
        ({"type": "content_block_delta", "delta": {"message": "x"}, "message": "x"}, False),
        ({"message": "", "created": 1}, False),
    ],
)
def test_an_error_is_told_by_its_shape(event: dict[str, Any], is_one: bool) -> None:
    assert is_error(event) is is_one


@pytest.mark.parametrize(("code", "reason"), [(429, "rate_limited"), ("500", "unavailable"), (504, "timeout")])
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
