"""Every parameter that a vendor's package knows is passed and counted, or refused by its name: none slips through."""

from functools import reduce
from typing import Any

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from openai.types import embedding_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from app.gateway.input_bound import measured
from app.gateway.priced_fields import OF_DIALECT, anything, check_fields
from app.gateway.prompts import LIMITS
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import Refusal

TYPED: list[tuple[str, Any]] = [
    ("chat", completion_create_params.CompletionCreateParamsBase),
    ("responses", response_create_params.ResponseCreateParamsBase),
    ("embeddings", embedding_create_params.EmbeddingCreateParams),
    ("messages", message_create_params.MessageCreateParamsBase),
    ("messages", beta_create_params.MessageCreateParamsBase),
    ("messages", message_count_tokens_params.MessageCountTokensParams),
]
PASSING = {
    "chat": "messages frequency_penalty presence_penalty logit_bias logprobs top_logprobs response_format"
    " reasoning_effort verbosity parallel_tool_calls tool_choice functions function_call stream_options temperature"
    " top_p seed stop user metadata safety_identifier prompt_cache_key prompt_cache_retention",
    "responses": "input instructions include text reasoning tool_choice parallel_tool_calls truncation top_logprobs"
    " max_tool_calls stream_options temperature top_p user metadata safety_identifier prompt_cache_key"
    " prompt_cache_retention",
    "embeddings": "input dimensions encoding_format user",
    "messages": "messages system metadata stop_sequences temperature top_p top_k tool_choice thinking cache_control"
    " output_config output_format",
}
"""What costs its tokens alone, by a person's reading of the vendors' pages; whatever is new is refused."""

FUNCTION: dict[str, Any] = {"type": "function"}
NESTED = reduce(lambda tool, _: {"type": "namespace", "tools": [tool]}, range(250), FUNCTION)
"""As deep as the types of a request are looked at."""

PRICED: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"service_tier": "priority"}), ("chat", {"service_tier": "flex"}), ("chat", {"n": 2}),
    ("chat", {"prediction": {"type": "content", "content": "x"}}), ("chat", {"store": True}),
    ("chat", {"modalities": ["text", "audio"]}), ("chat", {"audio": {"voice": "alloy", "format": "wav"}}),
    ("chat", {"web_search_options": {}}), ("chat", {"plugins": [{"id": "web"}]}),
    ("chat", {"tools": [{"type": "web_search"}]}),
    ("responses", {"background": True}), ("responses", {"store": True}), ("responses", {"previous_response_id": "r"}),
    ("responses", {"service_tier": "priority"}), ("responses", {"tools": [{"type": "web_search"}]}),
    ("responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("responses", {"tools": [NESTED]}),
    ("responses", {"tools": [{"type": "mcp", "server_url": "https://x"}]}), ("responses", {"conversation": "c"}),
    ("responses", {"reasoning": {"mode": "pro"}}), ("responses", {"background_options": {"completion_window": "2h"}}),
    ("chat", {"prompt_cache_options": {"ttl": "12h"}}), ("responses", {"prompt_cache_options": {"prewarm": True}}),
    ("messages", {"service_tier": "priority"}), ("messages", {"speed": "fast"}), ("messages", {"container": "c"}),
    ("messages", {"mcp_servers": [{"type": "url", "url": "https://x"}]}), ("messages", {"inference_geo": "us"}),
    ("messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("messages", {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}),
    ("messages", {"context_management": {"edits": [{"type": "compact_20260112"}]}}),
]  # fmt: skip
SEARCH, LOOK = {"type": "web_search"}, {"type": "function", "name": "look"}
WITHIN: list[tuple[str, str, Any]] = [
    ("responses", "input", {"type": "additional_tools", "role": "developer", "tools": [LOOK, SEARCH]}),
    ("responses", "input", {"type": "tool_search_output", "tools": [SEARCH]}),
    ("messages", "messages", {"role": "system", "content": [
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": SEARCH | {"name": "w"}}},
    ]}),
]  # fmt: skip
"""The same from inside a conversation."""
"""What the vendors' pages price beside the tokens, or keep."""

MODEL = AIModel(name="m", provider=ProviderAccount(name="p", kind="openai"))
UNKNOWN = {"type": "what-nobody-has-priced", "value": "flex"}


@pytest.mark.parametrize(("dialect", "params"), TYPED, ids=lambda part: getattr(part, "__module__", part))
def test_every_parameter_passes_or_is_refused_by_name(dialect: str, params: Any) -> None:
    replaced = {"model", "stream", "betas", *LIMITS.get(dialect, ())}
    names = set(params.__annotations__) - replaced
    check_fields(dialect, dict.fromkeys(names))
    refused = {name: code for name in names if (code := refusal_of(dialect, {name: UNKNOWN}))}
    assert names - set(refused) == names & set(PASSING[dialect].split())
    assert refused == {name: ("field_not_priced", name) for name in refused}


def test_what_can_change_the_price_is_refused_by_name() -> None:
    assert [refusal_of(*one) for one in PRICED] == [("field_not_priced", *fields) for _, fields in PRICED]


@pytest.mark.parametrize(("dialect", "name", "item"), WITHIN)
def test_nothing_that_costs_comes_with_a_turn(dialect: str, name: str, item: Any) -> None:
    assert refusal_of(dialect, {name: [item]}) == ("field_not_priced", "tools")


@pytest.mark.parametrize(("ttl", "refused"), [("30m", None), ("12h", ("field_not_priced", "prompt_cache_breakpoint"))])
def test_a_part_may_be_cached_for_as_long_as_is_priced(ttl: str, refused: tuple[str, str] | None) -> None:
    part = {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": ttl}}
    result = {"type": "function_call_output", "call_id": "c", "output": [part]}
    assert refusal_of("responses", {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}) is None
    assert refusal_of("responses", {"input": [result]}) == refused
    assert refusal_of("chat", {"messages": [{"role": "user", "content": [part]}]}) == refused


def test_tools_that_the_caller_runs_come_with_a_turn_and_count() -> None:
    added = {"type": "additional_tools", "role": "developer", "tools": [LOOK, {"type": "local_shell"}]}
    check_fields("responses", {"input": [added]})
    check_fields("messages", {"tools": [{"type": "browser_toolset_20260801"}, {"type": "computer_toolset_20260801"}]})
    assert measured({"input": [added]}, MODEL)[0] > 2_000
    assert measured({"tools": [{"type": "browser_toolset_20260801"}]}, MODEL)[0] > 10_000


def refusal_of(dialect: str, fields: dict[str, Any]) -> tuple[str, str] | None:
    """Code and field."""
    try:
        check_fields(dialect, fields)
    except Refusal as refusal:
        return refusal.code, refusal.details["param"]
    return None


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])
def test_whatever_passes_counts_towards_the_bound(dialect: str) -> None:
    for name in (name for name, rule in OF_DIALECT[dialect].items() if rule is anything):
        least, most = (measured({name: [{"role": "user", "content": "x" * size}]}, MODEL)[0] for size in (0, 999))
        assert most - least == 999, name
