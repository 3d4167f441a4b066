"""Which fields of a request pass: what can change the price is refused unless it is priced. billing-rules.md 5."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from app.models.catalog.setting import Setting
from app.models.metering.refusal import Refusal

Rule = Callable[[Any], bool]


def anything(_value: Any) -> bool:
    return True


def absent(value: Any) -> bool:
    """Null and false ask for nothing, as if the field were left out."""
    return value is None or value is False


def empty(value: Any) -> bool:
    return absent(value) or value in ([], {})


def only(*values: Any) -> Rule:
    return lambda value: value is None or any(value == known and type(value) is type(known) for known in values)


def all_of_types(*prefixes: str) -> Rule:
    """A list whose items are all of types that cost nothing but their tokens; a name that ends in _ is a beginning."""

    def rule(value: Any) -> bool:
        return value is None or (isinstance(value, list) and all(is_of(item, prefixes) for item in value))

    return rule


def is_of(item: Any, prefixes: Iterable[str]) -> bool:
    """Whether a tool, or each of a namespace, is of these types; a namespace holds no other one."""
    if not isinstance(item, Mapping) or item.get("type") != "namespace":
        return is_one_of(item, prefixes)
    tools = item.get("tools")
    return tools is None or (isinstance(tools, list) and all(is_one_of(tool, prefixes) for tool in tools))


def is_one_of(item: Any, prefixes: Iterable[str]) -> bool:
    if not isinstance(item, Mapping):
        return False
    kind = item.get("type") or "custom"
    if kind == "shell":
        return "shell" in prefixes and (item.get("environment") or {}).get("type") == "local"
    return isinstance(kind, str) and any(
        kind.startswith(known) if known.endswith("_") else kind == known for known in prefixes
    )


def named(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, anything)


def clears_only(value: Any) -> bool:
    """Editing the context away makes a call cheaper; compacting it is a call of its own."""
    edits = value.get("edits") if isinstance(value, Mapping) else None
    return value is None or (isinstance(edits, list) and all(is_of(edit, ("clear_",)) for edit in edits))


def thinks_once(value: Any) -> bool:
    """Reasoning in the mode `pro` asks a model several times over."""
    return not isinstance(value, Mapping) or value.get("mode") in (None, "standard")


def caches_as_priced(value: Any) -> bool:
    """A cache of half an hour is that of the price list; a longer one is not, and warming one up writes no answer."""
    options = value if isinstance(value, Mapping) else {}
    return all(CACHE_OPTIONS.get(name, absent)(option) for name, option in options.items())


SAMPLING = named("temperature", "top_p", "seed", "stop", "user", "metadata", "safety_identifier")
CACHE_OPTIONS = {"mode": anything, "ttl": only("30m"), "comparison_response_id": anything}
CACHING = named("prompt_cache_key", "prompt_cache_retention") | {"prompt_cache_options": caches_as_priced}
OPENAI = SAMPLING | CACHING | {"service_tier": only("auto", "default"), "store": absent, "moderation": absent}
OPENAI |= {"reasoning": thinks_once}

CHAT: dict[str, Rule] = OPENAI | named(
    "messages", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format",
    "reasoning_effort", "verbosity", "parallel_tool_calls", "tool_choice", "functions", "function_call",
    "stream_options", "top_k", "min_p", "repetition_penalty", "thinking", "chat_template_kwargs", "cache_control",
    "enable_thinking", "thinking_budget", "include_reasoning",
) | {
    "tools": all_of_types("function", "custom"), "n": only(1), "modalities": only(["text"]), "audio": absent,
    "prediction": absent, "web_search_options": absent,
}  # fmt: skip

RESPONSES: dict[str, Rule] = OPENAI | named(
    "input", "instructions", "include", "text", "tool_choice", "parallel_tool_calls", "truncation",
    "top_logprobs", "max_tool_calls", "stream_options", "client_metadata",
) | {
    "tools": all_of_types("function", "custom", "local_shell", "apply_patch", "shell"), "background": absent,
    "conversation": absent, "previous_response_id": absent, "prompt": absent, "context_management": empty,
}  # fmt: skip

MESSAGES: dict[str, Rule] = named(
    "messages", "system", "metadata", "stop_sequences", "temperature", "top_p", "top_k", "tool_choice", "thinking",
    "cache_control", "output_config", "output_format", "prefill",
) | {
    "tools": all_of_types("custom", "bash_", "text_editor_", "computer_", "memory_", "browser_"),
    "service_tier": only("auto", "standard_only"), "speed": only("standard"), "inference_geo": only("global"),
    "container": absent, "mcp_servers": empty, "context_management": clears_only, "compaction": absent,
    "fallbacks": empty, "diagnostics": absent,
}  # fmt: skip

EMBEDDINGS: dict[str, Rule] = named("input", "dimensions", "encoding_format", "user")

OF_DIALECT = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "embeddings": EMBEDDINGS}


def check_fields(dialect: str, body: Mapping[str, Any]) -> None:
    """Refuse the first field that is unknown, or whose value could change the price."""
    rules = OF_DIALECT[dialect]
    for name, value in body.items():
        if not rules.get(name, absent)(value):
            raise not_priced(name, name in rules and name != "tools")
    for item in items_of(body):
        if not all(rules.get("tools", anything)(tools) for tools in tools_within(item)):
            raise not_priced("tools")
        if not caches_as_priced(item.get("prompt_cache_breakpoint")):
            raise not_priced("prompt_cache_breakpoint", has_other_values=True)


def items_of(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every message or item of a request, and every part of one."""
    for name in ("input", "messages"):
        for item in maps_in(body.get(name)):
            yield item
            yield from maps_in(item.get("content"))
            yield from maps_in(item.get("output"))


def maps_in(items: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in items if isinstance(item, Mapping)) if isinstance(items, list) else iter(())


def tools_within(item: Mapping[str, Any]) -> Iterator[Any]:
    """Tools that come with a turn: OpenAI's `additional_tools` and what a search found, Anthropic's `tool_addition`."""
    if "tools" in item:
        yield item["tools"]
    added = item.get("tool")
    if isinstance(added, Mapping) and "definition" in added:
        yield [added["definition"]]


def not_priced(field: str, has_other_values: bool = False) -> Refusal:
    """The refusal that names a field, as the SDKs show it."""
    name = field[:80]
    why = "tool" if field == "tools" else "value" if has_other_values else "field"
    return Refusal("field_not_priced", context={"name": name, "why": why}, param=name)


def allowed_betas(header: str) -> str:
    """The `anthropic-beta` names of a request; refused where one is not in the setting."""
    allowed = {name.strip() for name in Setting.get("anthropic_betas").split(",")}
    names = [name.strip() for name in header.split(",") if name.strip()]
    if unknown := [name for name in names if name not in allowed]:
        context = {"name": unknown[0][:80], "why": "beta"}
        raise Refusal("field_not_priced", context=context, param="anthropic-beta")
    return ",".join(names)
