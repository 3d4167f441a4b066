"""OpenAI's chat completions, and all who speak that format at another address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from app.providers.base import Evidence, Prompt, PromptMessage, ProviderError, Reply, TokenUsage
from app.providers.errors import failure, reason_of_event
from app.providers.reports import evidence, joined, report_in_headers, reports_in
from app.providers.sse import DONE
from app.providers.streamed_reply import UNREAD, Patience, StreamedReply
from app.providers.text_cleaning import encodable
from app.providers.transport import Client
from app.providers.usage import mapping, openai_usage

ADDRESS = "https://api.openai.com/v1"
NEW_LIMIT, OLD_LIMIT = "max_completion_tokens", "max_tokens"
NEW_LIMIT_HOSTS = ("api.openai.com", ".openai.azure.com")
FINISHES = {"content_filter": "filter", "end_turn": "stop", "eos": "stop", "function_call": "tool_calls"}
FAILURES = ("error", "insufficient_system_resource")


class OpenAIProvider:
    """One address that speaks chat completions, with one key."""

    def __init__(
        self, *, base_url: str | None, api_key: str | None, patience: Patience | None = None
    ) -> None:
        self.patience = patience or Patience()
        self.client = openai.OpenAI(
            api_key=api_key or "none",
            base_url=base_url or ADDRESS,
            max_retries=0,
            http_client=Client(),
        )
        self._limits: dict[str, str] = {}

    def stream(self, prompt: Prompt) -> Reply:
        return StreamedReply(prompt, _Reader(self, prompt), self.patience)

    def limit_name(self, model: str) -> str:
        """OpenAI's newer models know the new name only; most others the old one only, and ignore the new one."""
        return self._limits.get(model) or (
            NEW_LIMIT if self.client.base_url.host.endswith(NEW_LIMIT_HOSTS) else OLD_LIMIT
        )

    def rename_limit(self, model: str) -> None:
        """Remember that this model wants the other name."""
        self._limits[model] = OLD_LIMIT if self.limit_name(model) == NEW_LIMIT else NEW_LIMIT


class _Reader:
    """One call."""

    errors: tuple[type[Exception], ...] = (openai.OpenAIError,)

    def __init__(self, provider: OpenAIProvider, prompt: Prompt) -> None:
        self.finish_reason: str | None = None
        self.is_over = False
        self.failure: ProviderError | None = None
        self.has_final_usage = False
        self.thinking = ""
        self._provider = provider
        self._prompt = prompt
        self._usage: dict[str, Any] = {}
        self._model: object = None
        self._tier: object = None
        self._has_refused = False

    def open(self) -> httpx2.Response:
        """Ask for the stream; once more where the model wants its limit by the other name."""
        try:
            return self._post()
        except openai.BadRequestError as error:
            if error.param != self._provider.limit_name(self._prompt.model):
                raise
        self._provider.rename_limit(self._prompt.model)
        return self._post()

    def _post(self) -> httpx2.Response:
        prompt = self._prompt
        body = {
            "model": prompt.model,
            "messages": [{"role": sent.role, "content": content_of(sent)} for sent in prompt.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            self._provider.limit_name(prompt.model): prompt.max_output_tokens,
        }
        return self._provider.client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            body=body,
            options={"timeout": self._provider.patience.timeout(prompt), "headers": UNREAD},
        )

    def hear(self, response: httpx2.Response) -> None:
        self._usage = joined(self._usage, report_in_headers(response.headers))

    def read(self, event: dict[str, Any]) -> str:
        """Fields of one event are no alternatives: one with an error may carry text, and the usage."""
        if event is DONE:
            self.is_over = True
            self.finish_reason = self.finish_reason or "stop"
            return ""
        if event.get("error") or event.get("object") == "error":
            self.failure = failure(reason_of_event(event), "error event")
        self._take_report(event)
        choices = event.get("choices")
        if not choices or not isinstance(choices, list):
            return ""
        return self._read_choice(mapping(choices[0]))

    def _take_report(self, event: Mapping[str, Any]) -> None:
        self._model = event.get("model") or self._model
        self._tier = event.get("service_tier") or self._tier
        for usage in reports_in(event):
            self._usage = joined(self._usage, usage)
            self.has_final_usage = self.has_final_usage or bool(self.failure) or not event.get("choices")

    def _read_choice(self, choice: Mapping[str, Any]) -> str:
        delta = mapping(choice.get("delta"))
        self.thinking += thinking_of(delta)
        text = text_of(delta.get("content"))
        if refusal := text_of(delta.get("refusal")):
            self._has_refused = True
            text += refusal
        if finish := choice.get("finish_reason"):
            self._finish(str(finish)[:32])
        return text

    def _finish(self, reason: str) -> None:
        if reason in FAILURES:
            self.failure = self.failure or failure("unavailable", f"finish reason {reason}")
        if self.failure:
            return
        is_refusal = self._has_refused and reason == "stop"
        self.finish_reason = "refusal" if is_refusal else FINISHES.get(reason, reason)

    def usage(self) -> TokenUsage:
        return openai_usage(self._usage)

    def evidence(self) -> Evidence:
        return evidence(self._usage, model=self._model, tier=self._tier)


def content_of(message: PromptMessage) -> str | list[dict[str, Any]]:
    """The words alone, or images and words as parts. `detail` is named so that images count by the documented bound."""
    text = encodable(message.content)
    if not message.images:
        return text
    addresses = (f"data:{image.media_type};base64,{image.base64}" for image in message.images)
    shown = [{"type": "image_url", "image_url": {"url": address, "detail": "high"}} for address in addresses]
    return [*shown, {"type": "text", "text": text}]


def text_of(content: object) -> str:
    """A delta's text; some send a list of parts, of which the thinking is not for the reader."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def thinking_of(delta: Mapping[str, Any]) -> str:
    """The thinking that a delta streams, by each vendor's name for it: counted, where nothing else is, never shown."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(thinking := delta.get(name), str):
            return thinking
    parts = delta.get("content") if isinstance(delta.get("content"), list) else ()
    thoughts = (mapping(part).get("thinking") for part in parts or ())
    return "".join(thought if isinstance(thought, str) else text_of(thought) for thought in thoughts)
