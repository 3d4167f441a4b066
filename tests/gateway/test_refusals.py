"""Refusals in the form of each dialect: what the vendors' packages raise, with our text, and how often they try."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from flask.testing import FlaskClient

from app.models.catalog.operation import OperationRow
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from tests.gateway.conftest import (
    ANTHROPIC_MODEL,
    HELLO,
    OPENAI_MODEL,
    PATHS,
    Program,
    body_of,
    chat_error,
    events_of,
    message_error,
)
from tests.support import Database
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer


def test_facts_of_a_refusal_stand_beside_its_code(program: Callable[..., Program]) -> None:
    answer = program("bob").call("chat")

    assert answer.json["error"]["available_nanos"] == 0
    assert answer.json["error"]["available_credits"] == "0"
    assert answer.json["error"]["resets_at"].endswith("Z")
    assert answer.json["error"]["upgrade_url"].startswith("http")
    assert answer.headers["X-Tollgate-Available-Credits"] == "0"
    assert answer.headers["X-Tollgate-Resets-At"] == answer.json["error"]["resets_at"]
    assert answer.headers["X-Tollgate-Upgrade-Url"] == answer.json["error"]["upgrade_url"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_agents_know_that_a_prompt_was_too_long(ada: Program, packages: Any, is_stream: bool) -> None:
    """They shorten the conversation and try again: by OpenAI's code, or by how Anthropic's sentence begins."""
    ours, theirs, way = packages(ada.key)
    too_long: Any = [{"role": "user", "content": "[[fault:413]]"}]
    told = chat_error(ours, messages=too_long, stream=is_stream)
    assert (told.status_code, told.code, told.param) == (400, "context_length_exceeded", "messages")
    refused = message_error(theirs, model=ANTHROPIC_MODEL, messages=too_long, stream=is_stream)
    assert (refused.status_code, refused.type) == (400, "invalid_request_error")
    assert refused.body["error"]["message"].startswith("prompt is too long: ")
    assert ada.call("responses", "[[fault:413]]", stream=is_stream).json["error"]["param"] == "input"
    assert way.tries == 2


def test_a_page_of_any_origin_may_call_with_a_key(client: FlaskClient) -> None:
    """Its browser asks first, without the key, and shows it no answer that doesn't say so, an error neither."""
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization,content-type"
    for path in (*PATHS.values(), "/v1/models", "/api/balance"):
        way = client.post if path in PATHS.values() else client.get
        preflight, refusal = client.options(path, headers=asks), way(path, headers=asks)
        allowed = [answer.headers.get("Access-Control-Allow-Origin") for answer in (preflight, refusal)]
        assert allowed == [None if path.startswith("/api") else "*"] * 2, path
        assert preflight.status_code == (401 if path.startswith("/api") else 200), path
        assert "Set-Cookie" not in preflight.headers
    told = client.options("/v1/messages", headers=asks).headers
    assert told["Access-Control-Allow-Headers"] == "Authorization, *"
    assert "POST" in told["Access-Control-Allow-Methods"]


def test_what_is_wrong_with_a_request_is_told_by_its_field(ada: Program, packages: Any) -> None:
    ours, theirs, way = packages(ada.key)
    for error in (chat_error(ours, model="no-such-model"), message_error(theirs, model="no-such-model")):
        assert isinstance(error, openai.NotFoundError | anthropic.NotFoundError)
    assert chat_error(ours, messages=[]).param == "messages"
    assert chat_error(ours, max_tokens=0).param == "max_tokens"
    assert way.tries == 4


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [("chat", {"n": 2}), ("responses", {"background": True}), ("messages", {"speed": "fast"})],
)
def test_what_can_change_the_price_is_refused_by_name(
    ada: Program, provider: ProviderServer, dialect: str, fields: dict[str, Any]
) -> None:
    answer = ada.call(dialect, **fields)
    error, [field] = answer.json["error"], fields

    assert (answer.status_code, error["code"]) == (400, "field_not_priced")
    assert f"`{field}`" in error["message"]
    assert dialect == "messages" or error["param"] == field
    assert provider.count == 0


def test_an_operation_that_is_off_or_of_another_plan_is_refused(
    ada: Program, provider: ProviderServer, session: Database
) -> None:
    row = session.query(OperationRow).filter_by(name="gateway").one()
    row.minimum_plan = session.query(Plan).filter_by(name="Pro").one()
    session.commit()
    answers = [ada.call("chat")]
    row.is_enabled = False
    session.commit()
    answers += [ada.call("messages"), ada.call("responses")]
    codes = [(answer.status_code, answer.json["error"]["code"]) for answer in answers]
    assert codes == [(403, "operation_not_in_plan"), *[(403, "operation_disabled")] * 2]
    assert provider.count == 0


def test_a_beta_passes_by_the_setting_only(ada: Program, provider: ProviderServer) -> None:
    known, unknown = "interleaved-thinking-2025-05-14", "fast-mode-2026-02-01"
    accepted = ada.call("messages", model=ANTHROPIC_MODEL, headers={"anthropic-beta": known})
    assert (accepted.status_code, provider.last["headers"]["anthropic-beta"]) == (200, known)
    refused = ada.call("messages", model=ANTHROPIC_MODEL, headers={"anthropic-beta": f"{known},{unknown}"})
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "field_not_priced")
    assert unknown in refused.json["error"]["message"]


def test_nobody_comes_in_without_a_key(ada: Program, packages: Any, client: FlaskClient) -> None:
    ours, theirs, way = packages("tg_made-up")
    assert isinstance(chat_error(ours), openai.AuthenticationError)
    assert isinstance(message_error(theirs), anthropic.AuthenticationError)
    assert way.tries == 2
    by_header = client.post("/v1/messages", json=body_of("messages"), headers={"X-Api-Key": ada.key})
    assert by_header.status_code == 200
    assert client.get("/api/balance", headers={"X-Api-Key": ada.key}).status_code == 401


def test_a_provider_that_fails_is_a_502_of_ours(ada: Program, provider: ProviderServer) -> None:
    for dialect, model, fault in (("chat", OPENAI_MODEL, "429"), ("messages", ANTHROPIC_MODEL, "529")):
        provider.configure(fault=fault)
        answer = ada.call(dialect, model=model)
        assert (answer.status_code, answer.json["error"]["code"]) == (502, "provider_error")
        assert "sk-secret" not in answer.text


def asked(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "sum up"}]}]


PIXEL = "data:image/png;base64,iVBORw0KGgo="
LOST: list[tuple[str, str, Any]] = [
    ("messages", OPENAI_MODEL, asked({"type": "container_upload", "file_id": "f"})),
    ("messages", OPENAI_MODEL, asked({"type": "brand_new", "text": "a"})),
    ("messages", OPENAI_MODEL, asked({"type": "image", "source": {"type": "file", "file_id": "f"}})),
    (
        "messages",
        OPENAI_MODEL,
        asked({"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}),
    ),
    ("messages", OPENAI_MODEL, [*HELLO, {"role": "assistant", "content": [{"type": "server_tool_use"}]}]),
    ("chat", ANTHROPIC_MODEL, [*HELLO, {"role": "assistant", "audio": {"id": "audio_1"}}]),
    ("chat", ANTHROPIC_MODEL, [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]),
    ("chat", ANTHROPIC_MODEL, asked({"type": "input_audio", "input_audio": {"data": "AA"}})),
    ("chat", ANTHROPIC_MODEL, asked({"type": "file", "file": {"file_id": "f"}})),
    ("chat", ANTHROPIC_MODEL, [*HELLO, {"role": "function", "name": "f", "content": "x"}]),
    ("chat", ANTHROPIC_MODEL, [*HELLO, {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {}}]}]),
    ("responses", ANTHROPIC_MODEL, [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]),
    ("responses", ANTHROPIC_MODEL, [{"role": "developer", "content": [{"type": "input_image", "image_url": PIXEL}]}]),
    ("responses", ANTHROPIC_MODEL, [{"role": "user", "content": [{"type": "brand_new", "text": "a"}]}]),
    ("responses", ANTHROPIC_MODEL, [*HELLO, {"type": "function_call_output", "output": {"content": "a"}}]),
    ("responses", ANTHROPIC_MODEL, [*HELLO, {"type": "function_call_output", "output": [{"type": "brand_new"}]}]),
]


def test_what_would_be_lost_on_the_way_is_refused(ada: Program, provider: ProviderServer) -> None:
    """An answer to half a question would be paid."""
    for dialect, model, said in LOST:
        field = "input" if dialect == "responses" else "messages"
        answer = ada.call(dialect, model=model, **{field: said})
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_request"), said
        assert answer.json["error"]["message"].startswith(f"{field}: has ")
    assert provider.count == 0
    result = {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "found"}]}
    assert ada.call("messages", messages=asked(result)).status_code == 200
    assert provider.last["body"]["messages"][0]["content"][0]["text"] == "T\nS\nfound"


@pytest.mark.parametrize("model", [OPENAI_MODEL, ANTHROPIC_MODEL])
def test_a_models_refusal_is_one_in_anthropics_format(ada: Program, provider: ProviderServer, model: str) -> None:
    provider.configure(finish="refusal", tokens=2)
    assert ada.call("messages", model=model).json["stop_reason"] == "refusal"


def test_a_models_refusal_is_no_text_of_a_response(ada: Program, packages: Any, provider: ProviderServer) -> None:
    provider.configure(finish="refusal", tokens=2)
    with packages(ada.key)[0].responses.stream(model=OPENAI_MODEL, input="hello") as stream:
        told = [event.type for event in stream if "refusal" in event.type]
        final = stream.get_final_response()
    assert told == ["response.refusal.delta"] * 2 + ["response.refusal.done"]
    assert (final.output_text, final.output[0].content[0].refusal) == ("", "word0 word1 ")


def test_an_error_in_mid_stream_is_sent(ada: Program, packages: Any, provider: ProviderServer) -> None:
    ours, theirs, _way = packages(ada.key)
    for fault in ("cut", "close", "error_event", "bad_json"):
        provider.configure(fault=fault, after=2)
        for model in (OPENAI_MODEL, ANTHROPIC_MODEL):
            with pytest.raises(openai.APIError, match="provider"):
                [*ours.chat.completions.create(model=model, messages=HELLO, stream=True)]
            with pytest.raises(openai.APIError, match="provider"):
                [*ours.responses.create(model=model, input="hello", stream=True)]
            with ours.responses.stream(model=model, input="hello") as told, pytest.raises(openai.APIError):
                told.until_done()
            with pytest.raises(anthropic.APIError, match="provider"):
                [*theirs.messages.create(model=model, messages=HELLO, max_tokens=300, stream=True)]
    assert ada.get("/api/balance").json["credits_credits"] == "1000"


def test_a_response_that_fails_keeps_the_identity_it_began_with(
    ada: Program, packages: Any, provider: ProviderServer
) -> None:
    """Of a provider that speaks responses; the package holds the end to the beginning."""
    begun = {"id": "resp_7", "object": "response", "status": "in_progress", "output": []}
    sent: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.failed", "response": {**begun, "status": "failed", "error": {"message": "no"}}},
    ]
    provider.bodies["failed"] = "".join(f"data: {json.dumps(event)}\n\n" for event in sent).encode()
    provider.configure(replay="failed")
    events = events_of(ada.call("responses", stream=True))
    failed = events[1]["response"]
    assert [event["sequence_number"] for event in events] == [0, 1, 2], "without its number packages read no error"
    assert (failed["id"], failed["status"], failed["error"]["code"]) == ("resp_7", "failed", "provider_error")
    stream = packages(ada.key)[0].responses.stream(model=OPENAI_MODEL, input="hello")
    with stream as told, pytest.raises(openai.APIError, match="provider"):
        told.until_done()


def test_a_limit_is_lowered_to_what_is_affordable_and_told(
    program: Callable[..., Program], provider: ProviderServer, session: Database
) -> None:
    Setting.put("overdraft", 0)
    session.commit()
    bob = program("bob", credits=5 * CREDIT)
    answer = bob.call("chat", max_completion_tokens=4000)
    told = int(answer.headers["X-Max-Output-Tokens"])

    assert 256 <= told < 4000
    assert provider.last["body"]["max_tokens"] == told
    assert bob.call("messages", max_tokens=10_000).headers["X-Max-Output-Tokens"] != "10000"
    assert "max_completion_tokens" not in provider.last["body"]


def test_the_same_idempotency_key_never_pays_twice(ada: Program, provider: ProviderServer) -> None:
    once = {"Idempotency-Key": "k1"}
    provider.configure(fault="500")
    assert ada.call("chat", headers=once).status_code == 502
    provider.configure(fault="")
    assert ada.call("chat", headers=once).status_code == 200
    again = ada.call("chat", headers=once)
    assert (again.status_code, again.json["error"]["code"]) == (409, "idempotency_key_reused")
    assert again.headers["X-Should-Retry"] == "false"
    assert ada.call("chat", "other", headers=once).status_code == 409


def test_the_api_says_whether_to_retry_too(program: Callable[..., Program]) -> None:
    answer = program("bob").client.get("/api/usage/calls/1")
    assert answer.headers["X-Should-Retry"] == "false"


def test_an_answer_of_the_stream_is_never_before_its_receipt(ada: Program) -> None:
    answer = ada.call("messages", model=ANTHROPIC_MODEL, stream=True)
    assert events_of(answer)[-1]["type"] == "message_stop"
    assert ada.receipt(answer)["state"] == "settled"


def test_a_tool_runner_goes_on_without_a_thread(
    ada: Program, packages: Callable[..., Any], provider: ProviderServer
) -> None:
    """It begins with a thread, which nobody holds here, and asks again with the whole conversation."""
    _openai, client, way = packages(ada.key)
    said: Any = {"role": "user", "content": "hello"}
    runner = client.beta.messages.tool_runner(model=ANTHROPIC_MODEL, max_tokens=300, messages=[said], tools=[look])
    assert runner.until_done().content[0].text
    assert (way.tries, provider.count) == (2, 1)
    assert "thread" not in provider.last["body"]


@anthropic.beta_tool
def look(place: str) -> str:
    """What is there."""
    return place


def test_codex_goes_on_without_its_web_search_and_without_a_socket(ada: Program, provider: ProviderServer) -> None:
    tools = [{"type": "function", "name": "look", "parameters": {}}, {"type": "web_search"}]
    refused = ada.call("responses", tools=tools)
    assert (refused.status_code, refused.json["error"]["param"]) == (400, "tools")
    assert ada.call("responses", tools=tools, headers={"originator": "codex_exec"}).status_code == 200
    assert [tool["function"]["name"] for tool in provider.last["body"]["tools"]] == ["look"]
    assert ada.get("/v1/responses").status_code == 426
