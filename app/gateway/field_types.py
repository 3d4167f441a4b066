"""The type of each field of a request, where it is known; a request that differs is refused by that field."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from app.models.metering.refusal import InvalidRequest

Object = dict[str, Any]
Objects = list[Object]


class Fields(BaseModel):
    """Null is the same as left out; what else there is passes."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class Source(Fields):
    type: str | None = None
    content: str | Objects | None = None


class Function(Fields):
    name: str | None = None
    arguments: str | None = None
    description: str | None = None
    parameters: Object | None = None


class Tool(Function):
    type: str | None = None
    function: Function | None = None
    input_schema: Object | None = None
    environment: Object | None = None
    tools: "list[Tool] | None" = None


class Allowed(Fields):
    mode: str | None = None
    tools: list[Tool] | None = None


class Choice(Allowed):
    type: str | None = None
    name: str | None = None
    function: Function | None = None
    allowed_tools: Allowed | None = None


class Addition(Fields):
    definition: Tool | None = None


class Part(Fields):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    source: str | Source | None = None
    content: str | Objects | Object | None = None
    image_url: str | Object | None = None
    file: Object | None = None
    tool: Addition | None = None


class Call(Fields):
    id: str | None = None
    function: Function | None = None


class Message(Fields):
    """A message of any format, or an item of a response's input."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    thinking_blocks: Objects | None = None
    name: str | None = None
    namespace: str | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: str | Objects | Object | None = None
    tools: list[Tool] | None = None


class Request(Fields):
    """What all formats have."""

    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    metadata: Object | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None


class OfOpenAI(Request):
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Object | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    top_logprobs: int | None = None
    parallel_tool_calls: bool | None = None
    stream_options: Object | None = None
    reasoning: Object | None = None


class ChatRequest(OfOpenAI):
    messages: list[Message]
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    min_p: float | None = None
    top_k: int | None = None
    logit_bias: Object | None = None
    logprobs: bool | None = None
    response_format: Object | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    functions: Objects | None = None
    function_call: str | Object | None = None
    thinking: Object | None = None
    chat_template_kwargs: Object | None = None
    cache_control: Object | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = None
    include_reasoning: bool | None = None


class ResponsesRequest(OfOpenAI):
    input: str | list[Message]
    instructions: str | None = None
    include: list[str] | None = None
    text: Object | None = None
    truncation: str | None = None
    max_tool_calls: int | None = None
    client_metadata: Object | None = None


class MessagesRequest(Request):
    messages: list[Message]
    system: str | list[Part] | None = None
    stop_sequences: list[str] | None = None
    top_k: int | None = None
    tool_choice: Choice | None = None
    thinking: Object | None = None
    cache_control: Object | None = None
    output_config: Object | None = None
    output_format: Object | None = None


OF_DIALECT: dict[str, type[Fields]] = {
    "chat": ChatRequest,
    "responses": ResponsesRequest,
    "messages": MessagesRequest,
}


def check_types(dialect: str, sent: Object) -> None:
    """InvalidRequest names the first field that is missing or of another type, with where in it that is."""
    try:
        OF_DIALECT[dialect].model_validate(sent)
    except ValidationError as error:
        wrong = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
        names = [part for part in wrong["loc"] if isinstance(part, int) or part in KNOWN]
        message = "is missing." if wrong["type"] == "missing" else f"is of the wrong type at {dotted(names)}."
        raise InvalidRequest({str(names[0]): [message]}) from None


def dotted(names: list[int | str]) -> str:
    return ".".join(map(str, names))


def names_in(kind: type[Fields]) -> set[str]:
    return {*kind.model_fields, *(name for heir in kind.__subclasses__() for name in names_in(heir))}


KNOWN = names_in(Fields)
"""Every field: what else stands in an error's path is which of several types was tried."""
