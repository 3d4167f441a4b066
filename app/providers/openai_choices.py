"""Text and thinking of a choice in OpenAI's format, by each vendor's names."""

from collections.abc import Mapping
from typing import Any

from app.providers.usage import Raw, mapping

THINKING = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought")
THOUGHTS = ("content", "reasoning_details", "thinking_blocks")

EVENT_OF_TEXT = frozenset(
    [
        *("id", "object", "created", "model", "provider", "service_tier", "system_fingerprint", "obfuscation"),
        *("choices", "usage"),
    ]
)
CHOICE_OF_TEXT = frozenset(
    ("index", "delta", "finish_reason", "native_finish_reason", "stop_reason", "logprobs", "content_filter_results")
)
EMPTY_BESIDE_TEXT = ("refusal", "tool_calls", "reasoning", "reasoning_content", "reasoning_details")
DELTA_OF_TEXT = frozenset(("role", "content", *EMPTY_BESIDE_TEXT))


def text_alone(event: dict[str, Any]) -> str | None:
    """The text of an event that holds nothing else, as most do; None where all of it has to be looked through."""
    choices = event.get("choices")
    if not event.keys() <= EVENT_OF_TEXT or event.get("usage") or type(choices) is not list or len(choices) != 1:
        return None
    choice = choices[0]
    if type(choice) is not dict or not choice.keys() <= CHOICE_OF_TEXT or choice.get("finish_reason"):
        return None
    delta = choice.get("delta")
    if type(delta) is not dict or not delta.keys() <= DELTA_OF_TEXT or any(map(delta.get, EMPTY_BESIDE_TEXT)):
        return None
    text = delta.get("content")
    return text if type(text) is str and choice.get("index") in (0, None) else None


def choice_in(event: dict[str, Any]) -> Raw:
    """The one choice that was asked for; a server that sends several numbers them.

    Where there is none, Workers AI's text by itself becomes one, so that who passes the event on has it too.
    """
    choices = event.get("choices")
    if not choices and (said := said_alone(event)):
        finish = "stop" if "result" in event else None
        choices = event["choices"] = [{"index": 0, "delta": {"content": said}, "finish_reason": finish}]
    if not choices or not isinstance(choices, list):
        return {}
    return next((mapping(one) for one in choices if mapping(one).get("index") in (None, 0)), {})


def said_alone(event: Raw) -> str:
    """Workers AI's `response`, of which a number is text too; in an answer of one piece it is in `result`."""
    said = event.get("response", mapping(event.get("result")).get("response"))
    is_text = isinstance(said, str | int | float) and not isinstance(said, bool)
    return str(said) if is_text else ""


def delta_of(choice: Raw, *, has_begun: bool) -> Raw:
    """What is new. Some send the whole message in its place, at once or once more at the end."""
    if isinstance(choice.get("delta"), Mapping) or has_begun:
        return mapping(choice.get("delta"))
    return mapping(choice.get("message")) or {"content": choice.get("text")}


def text_of(content: object) -> str:
    """A delta's text; some send parts, of which the thinking is not for the reader."""
    if isinstance(content, str):
        return content
    parts = [content] if isinstance(content, Mapping) else content if isinstance(content, list) else []
    said = (mapping(part) for part in parts)
    texts = (part.get("text") for part in said if part.get("type") in ("text", "output_text"))
    return "".join(text for text in texts if isinstance(text, str))


def is_thought(delta: Raw) -> bool:
    """Whether its text is thinking: Gemini marks it so."""
    marks = delta.get("extra_content")
    return marks is not None and mapping(mapping(marks).get("google")).get("thought") is True


def thinking_of(delta: Raw) -> str:
    """The thinking that a delta streams, by each vendor's name for it: counted, where nothing else is, never shown."""
    if is_thought(delta):
        return text_of(delta.get("content"))
    thinking = ""
    for name, value in delta.items():
        if name in THINKING and isinstance(value, str):
            return value
        if name in THOUGHTS and isinstance(value, list):
            thinking += "".join(thought_of(mapping(part)) for part in value)
    return thinking


def thought_of(part: Raw) -> str:
    """The thinking in a part of a list: Mistral's and LiteLLM's `thinking`, OpenRouter's `reasoning.text`."""
    thought = part.get("thinking")
    if thought is None and str(part.get("type")).startswith("reasoning."):
        thought = part.get("text") or part.get("summary")
    return thought if isinstance(thought, str) else text_of(thought)
