"""Anthropic's messages."""

import re
from dataclasses import replace
from typing import Any

import anthropic
import httpx2

from app.providers.base import Evidence, Prompt, PromptMessage, Reply, TokenUsage, WirePrompt
from app.providers.errors import failure, is_error, reason_of_event, told_in
from app.providers.finish_reasons import FAILED, finish_of
from app.providers.reports import evidence, joined
from app.providers.streamed_reply import UNREAD, Reader, StreamedReply, VendorProvider
from app.providers.text_cleaning import encodable
from app.providers.transport import Client, Line, current_line
from app.providers.usage import ANTHROPIC_CACHE, MOST_TOKENS, Raw, anthropic_usage, mapping, part

ADDRESS = "https://api.anthropic.com"
MOST_PLACEHOLDER = 8
SMALLEST_BUDGET = 1024
SMALLEST_CACHED = 4096
"""Bytes of a prompt: Anthropic caches none of less than 1,024 tokens."""

COUNT_SECONDS = 5.0
SLACK = 20
"""Every how many tokens of a prompt two counts of it may differ by one."""

COUNTED_FIELDS = {"messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}
THOUGHTS = ("thinking", "redacted_thinking")
FOREIGN_THOUGHT = re.compile(r"messages\.\d+\.content\.\d+: Invalid `signature` in `")
"""The beginning of a refusal: a model reads its own thoughts alone, and a conversation may go from one to another."""

ENDS = ("message_delta", "message_stop", "error", "message")
ORDINARY_PLACES = (None, "global", "not_available")


class AnthropicProvider(VendorProvider):
    """One address that speaks messages, with one key."""

    def connect(self, base_url: str | None, api_key: str) -> None:
        asking: Any = {"max_retries": 0, "http_client": Client()}
        self.client = anthropic.Anthropic(api_key=api_key, base_url=base_url or ADDRESS, **asking)

    def stream(self, prompt: Prompt) -> Reply:
        return StreamedReply(prompt, _Reader(self, prompt), self.patience)

    def count_tokens(self, prompt: WirePrompt) -> int | None:
        """What Anthropic counts, free of charge; None where it does not say."""
        token = current_line.set(Line())
        options: Any = {"timeout": httpx2.Timeout(COUNT_SECONDS), "headers": headers_of(prompt)}
        body = {name: value for name, value in prompt.body.items() if name in COUNTED_FIELDS}
        body["model"] = prompt.model
        try:
            answer = self.client.post("/v1/messages/count_tokens", cast_to=httpx2.Response, body=body, options=options)
            counted = mapping(answer.json()).get("input_tokens")
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError):
            return None
        finally:
            current_line.reset(token)
        return counted if isinstance(counted, int) and counted >= 0 else None


class _Reader(Reader):
    """One call."""

    errors: tuple[type[Exception], ...] = (anthropic.AnthropicError,)

    def __init__(self, provider: AnthropicProvider, prompt: Prompt) -> None:
        self._provider = provider
        self._prompt = prompt
        self._usage: dict[str, Any] = {}
        self._model: object = None

    def open(self) -> httpx2.Response:
        """Ask; again without the thoughts of earlier turns where they are another model's."""
        body = self._body()
        try:
            return self._post(body)
        except anthropic.BadRequestError as error:
            if not FOREIGN_THOUGHT.match(str(told_in(error.body).get("message"))):
                raise
        return self._post(without_thoughts(body))

    def _post(self, body: dict[str, Any]) -> httpx2.Response:
        options: Any = {
            "timeout": self._provider.patience.timeout(self._prompt),
            "headers": UNREAD | headers_of(self._prompt),
        }
        return self._provider.client.post("/v1/messages", cast_to=httpx2.Response, body=body, options=options)

    def _body(self) -> dict[str, Any]:
        """Anthropic takes the system prompt beside the messages, and no empty message."""
        prompt = self._prompt
        if isinstance(prompt, WirePrompt):
            return wire_body(prompt, self._provider.options.service_tier)
        said = [message for message in prompt.messages if message.content.strip()]
        body: dict[str, Any] = {
            "model": prompt.model,
            "max_tokens": prompt.max_output_tokens,
            "messages": [{"role": sent.role, "content": content_of(sent)} for sent in said if sent.role != "system"],
            "stream": True,
        }
        if prompt.wants_cache and prompt.input_token_bound > SMALLEST_CACHED:
            mark_for_cache(body["messages"][-1])
        if tier := self._provider.options.service_tier:
            body["service_tier"] = tier
        if system := [encodable(sent.content) for sent in said if sent.role == "system"]:
            body["system"] = "\n\n".join(system)
        return body

    def hear(self, response: httpx2.Response) -> None:
        """Anthropic's headers report nothing of the call."""

    def read(self, event: dict[str, Any]) -> str:
        """Fields of one event are no alternatives: an error may come with the usage."""
        kind = event.get("type")
        delta = event if kind == "message" else mapping(event.get("delta"))
        self._take_report(event, is_final=kind in ENDS or bool(delta.get("stop_reason")))
        if reason := delta.get("stop_reason"):
            self._finish(finish_of(reason))
        if is_error(event):
            self.failure, self.finish_reason = failure(reason_of_event(event), "error event"), None
        if kind in ("message_stop", "message"):
            self.is_over = True
            self.finish_reason = self.finish_reason or "stop"
        return self._text(kind, event)

    def _finish(self, reason: str) -> None:
        self.finish_reason = reason
        if reason == FAILED:
            self.failure, self.finish_reason = failure("unavailable", "stop reason of a failure"), None

    def _text(self, kind: object, event: dict[str, Any]) -> str:
        if kind == "message":
            parts = event.get("content")
            return "".join(text_of(part, "text") for part in parts) if isinstance(parts, list) else ""
        if kind == "content_block_start":
            return text_of(event.get("content_block"), "text")
        if kind != "content_block_delta":
            return ""
        thinking = mapping(event.get("delta")).get("thinking")
        self.thinking += thinking if isinstance(thinking, str) else ""
        return text_of(event.get("delta"), "text_delta")

    def _take_report(self, event: dict[str, Any], *, is_final: bool) -> None:
        message = mapping(event.get("message"))
        self._model = message.get("model") or event.get("model") or self._model
        for usage in (
            without_placeholder(message.get("usage")),
            event.get("usage"),
            mapping(event.get("error")).get("usage"),
        ):
            if isinstance(usage, dict):
                self._usage = joined(without_cached(self._usage, usage), usage)
                self.has_final_usage = self.has_final_usage or is_final

    def usage(self) -> TokenUsage:
        """The first event's figures are not usage until the last event's join them; no request of ours searches."""
        return replace(anthropic_usage(self._usage), searches=0) if self.has_final_usage else TokenUsage()

    def evidence(self) -> Evidence:
        told = evidence(self._usage, model=self._model, tier=tier_of(self._usage))
        return replace(told, unpriced=told.unpriced + anthropic_usage(self._usage).searches)


def without_placeholder(usage: object) -> object:
    """The first event's figures; its few output tokens are those of the first piece, whatever the end says."""
    figure = mapping(usage).get("output_tokens")
    is_placeholder = isinstance(figure, int) and 0 < figure <= MOST_PLACEHOLDER
    return {**mapping(usage), "output_tokens": None} if is_placeholder else usage


def without_cached(known: Raw, fresh: Raw) -> Raw:
    """What is known, less what turns out to be cached of the prompt.

    Some who speak this format call the whole prompt `input_tokens` at first, and only at the end tell the cached
    part of it: with what is left beside it (Bifrost's hosts), or alone (Model Studio's).
    """
    whole, cached = part(known.get("input_tokens"), MOST_TOKENS), cached_in(fresh)
    if not whole or not cached or cached_in(known):
        return known
    left = fresh.get("input_tokens")
    if left is None and known.get(ANTHROPIC_CACHE[0]) is None and cached <= whole + whole // SLACK:
        return {**known, "input_tokens": max(0, whole - cached)}
    is_split = left is not None and part(left, whole) < whole <= 2 * (part(left, whole) + cached)
    return {**known, "input_tokens": None} if is_split else known


def cached_in(usage: Raw) -> int:
    return sum(part(usage.get(name), MOST_TOKENS) for name in ANTHROPIC_CACHE)


def tier_of(usage: Raw) -> str | None:
    """What a call is billed at beside its tokens: fast mode, or a place that costs more than the ordinary one."""
    speed, place = usage.get("speed"), usage.get("inference_geo")
    if speed not in (None, "standard"):
        return str(speed)
    return str(place) if place not in ORDINARY_PLACES else None


def wire_body(prompt: WirePrompt, tier: str | None) -> dict[str, Any]:
    """The request as it came. Thinking must leave room for an answer: where the limit was lowered, so is its budget."""
    most = prompt.max_output_tokens
    body = {**prompt.body, "model": prompt.model, "max_tokens": most, "stream": True}
    if tier:
        body["service_tier"] = tier
    budget = mapping(body.get("thinking")).get("budget_tokens")
    if isinstance(budget, int) and budget >= most:
        lowered = {**mapping(body["thinking"]), "budget_tokens": most - 1}
        body["thinking"] = lowered if most > SMALLEST_BUDGET else {"type": "disabled"}
    return body


def without_thoughts(body: dict[str, Any]) -> dict[str, Any]:
    """Claude goes on from a call without its thoughts where it decides by itself how long to think, or does not."""
    messages = [message for sent in body["messages"] if (message := without_thought(sent))["content"]]
    latest = [message["content"] for message in messages if message.get("role") == "assistant"][-1:]
    is_called = any(mapping(block).get("type") == "tool_use" for content in latest for block in content)
    has_budget = mapping(body.get("thinking")).get("type") == "enabled"
    return {**body, "messages": messages} | ({"thinking": {"type": "disabled"}} if is_called and has_budget else {})


def without_thought(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [block for block in content if mapping(block).get("type") not in THOUGHTS]}


def headers_of(prompt: Prompt) -> dict[str, str]:
    return dict(prompt.headers) if isinstance(prompt, WirePrompt) else {}


def content_of(message: PromptMessage) -> str | list[dict[str, Any]]:
    """The words alone, or images and words as blocks."""
    text = encodable(message.content)
    if not message.images:
        return text
    sources = ({"type": "base64", "media_type": image.media_type, "data": image.base64} for image in message.images)
    return [*({"type": "image", "source": source} for source in sources), {"type": "text", "text": text}]


def mark_for_cache(message: dict[str, Any]) -> None:
    """Have all that is sent up to the end of this message be cached for five minutes."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    message["content"] = [*blocks[:-1], {**blocks[-1], "cache_control": {"type": "ephemeral"}}]


def text_of(block: object, kind: str) -> str:
    """The text of a block or delta of that kind; thinking, tools and citations have none for the reader."""
    fields = mapping(block)
    text = fields.get("text")
    return text if fields.get("type") == kind and isinstance(text, str) else ""
