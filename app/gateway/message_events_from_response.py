"""The events of a response as Anthropic's; a thought's seal is its signature, so that both come back together."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.reported_usage import Event
from app.providers.usage import mapping

SEAL = "openai"
"""How a signature begins that holds a sealed thought, behind which are its id and itself."""

STOPS = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}


DELTAS = {
    "response.output_text.delta": ("text_delta", "text"),
    "response.refusal.delta": ("text_delta", "text"),
    "response.reasoning_summary_text.delta": ("thinking_delta", "thinking"),
    "response.reasoning_text.delta": ("thinking_delta", "thinking"),
    "response.function_call_arguments.delta": ("input_json_delta", "partial_json"),
}
"""Of each event that adds to a block, the delta's type and the name of what it adds."""


class MessageEventsFromResponse:
    """Each item is a block. Those of tools that a provider runs are none: they are never asked for."""

    def __init__(self) -> None:
        self._stop = "end_turn"
        self._told: set[str] = set()

    def feed(self, event: Event) -> Iterator[Event]:
        kind, number, item = event["type"], event.get("output_index"), mapping(event.get("item"))
        if kind in DELTAS:
            self._told.add(str(number))
            self._stop = "refusal" if kind == "response.refusal.delta" else self._stop
            yield delta_of(number, *DELTAS[kind], event.get("delta"))
        elif kind == "response.output_item.added" and item.get("type") == "function_call":
            self._stop = "tool_use"
            block: Event = {"type": "tool_use", "id": item.get("call_id"), "name": item.get("name"), "input": {}}
            yield {"type": "content_block_start", "index": number, "content_block": block}
        elif kind == "response.reasoning_summary_part.added" and event.get("summary_index"):
            yield delta_of(number, *DELTAS["response.reasoning_text.delta"], "\n\n")
        elif kind == "response.output_item.done":
            yield from self._end(number, item)
        elif kind in ("response.completed", "response.incomplete"):
            reason = mapping(mapping(event.get("response")).get("incomplete_details")).get("reason")
            yield {"type": "message_delta", "delta": {"stop_reason": STOPS.get(str(reason), self._stop)}}

    def _end(self, number: Any, item: Mapping[str, Any]) -> Iterator[Event]:
        """What is told of an item at its end alone."""
        if item.get("type") == "reasoning" and item.get("encrypted_content"):
            sealed = f"{SEAL}:{item.get('id') or ''}:{item['encrypted_content']}"
            yield delta_of(number, "signature_delta", "signature", sealed)
        elif item.get("type") == "function_call" and str(number) not in self._told and item.get("arguments"):
            yield delta_of(number, *DELTAS["response.function_call_arguments.delta"], item["arguments"])


def delta_of(number: Any, kind: str, name: str, value: Any) -> Event:
    return {"type": "content_block_delta", "index": number, "delta": {"type": kind, name: value}}


def seal_in(signature: Any) -> Event:
    """The id and the sealed content of a thought of OpenAI's; nothing where the signature is another's."""
    mark, _, sealed = str(signature).partition(":")
    identity, _, content = sealed.partition(":")
    if mark != SEAL or not content:
        return {}
    return {"encrypted_content": content} | ({"id": identity} if identity else {})
