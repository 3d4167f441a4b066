"""OpenAI's chat completions, and all who speak that format at another address."""

import re
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2
import openai

from app.providers.base import (
    Evidence,
    ImagePrompt,
    ImageReply,
    Prompt,
    PromptMessage,
    Reply,
    TokenUsage,
    WirePrompt,
    is_above_limit,
)
from app.providers.concessions import UNKNOWN_FIELD, Concessions
from app.providers.errors import failure, is_error, reason_of_event
from app.providers.finish_reasons import FAILED, finish_of
from app.providers.image_requests import Drawing
from app.providers.openai_choices import choice_in, delta_of, is_thought, text_alone, text_of, thinking_of
from app.providers.openai_embeddings import EmbeddingsReader, EmbeddingsReply
from app.providers.openai_images import ask_for_images
from app.providers.openai_responses import ResponsesReader
from app.providers.reports import RunningFigures, evidence, joined, report_in_headers, reports_in
from app.providers.sse import DONE
from app.providers.streamed_reply import UNREAD, Reader, StreamedReply, VendorProvider
from app.providers.text_cleaning import encodable
from app.providers.transport import Client
from app.providers.usage import Raw, mapping, openai_usage

ADDRESS = "https://api.openai.com/v1"
NEW_LIMIT, OLD_LIMIT, BOTH_LIMITS = "max_completion_tokens", "max_tokens", "both"
OWN_HOSTS = ("api.openai.com", ".openai.azure.com")
MOST_CONCESSIONS = 3
RUNNING_FIELDS = re.compile(r"timings_per_token|continuous_usage_stats")


class OpenAIProvider(VendorProvider):
    """One address that speaks chat completions, with one key."""

    def connect(self, base_url: str | None, api_key: str) -> None:
        asking: Any = {"max_retries": 0, "http_client": Client()}
        self.client = openai.OpenAI(api_key=api_key, base_url=base_url or ADDRESS, **asking)
        self.service_tier = self.options.service_tier
        self.asks_for_running = self.options.reports_running
        self.asks_for_usage = self.has_responses = self.has_summaries = True
        self.concessions = Concessions()
        self.is_openai = self.client.base_url.host.endswith(OWN_HOSTS)
        self._limits: dict[str, str] = {}
        self._wants_one: set[str] = set()

    def stream(self, prompt: Prompt) -> Reply:
        running = self.options.reports_running
        reader: Reader = ChatReader(self, prompt)
        if isinstance(prompt, WirePrompt) and prompt.is_embedding:
            return EmbeddingsReply(prompt, EmbeddingsReader(self.post, prompt, ChatReader.errors), self.patience)
        if isinstance(prompt, WirePrompt) and prompt.dialect == "chat" and prompt.instead and self.is_openai:
            chat = replace(prompt, instead=None)
            prompt = replace(prompt, dialect="responses", body=prompt.instead.body, instead=chat)
        if isinstance(prompt, WirePrompt) and prompt.dialect == "responses":
            reader = ResponsesReader(self, prompt, ChatReader)
        return StreamedReply(prompt, reader, self.patience, reports_running=running)

    def draw(self, prompt: ImagePrompt) -> ImageReply:
        return Drawing([partial(ask_for_images, self, prompt)], (openai.OpenAIError,), self.patience)

    def post(self, prompt: Prompt, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Ask for a stream; raises the package's errors."""
        options: Any = {"timeout": self.patience.timeout(prompt), "headers": UNREAD}
        return self.client.post(path, cast_to=httpx2.Response, body=body, options=options)

    def limit_name(self, model: str, known: str | None = None) -> str:
        """OpenAI's newer models know the new name only; most others the old one only, and ignore the new one."""
        learned = self._limits.get(model) or known or self.options.limit_name
        return learned or (NEW_LIMIT if self.is_openai else OLD_LIMIT)

    def rename_limit(self, model: str, refused: str) -> None:
        """Remember that this model does not want that name, or not both."""
        if refused == BOTH_LIMITS:
            self._wants_one.add(model)
        self._limits[model] = OLD_LIMIT if refused == NEW_LIMIT else NEW_LIMIT

    def learn_from(self, prompt: Prompt, output: int) -> None:
        """More output than was asked for: the limit was not read. From now on it is sent by both names."""
        if is_above_limit(output, prompt.max_output_tokens) and prompt.model not in self._wants_one:
            self._limits[prompt.model] = BOTH_LIMITS

    def drops_tier(self, error: Exception) -> bool:
        """Whether this refusal is about the tier, which is not asked for anymore."""
        is_refused = isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError)
        if not (self.service_tier and is_refused and "service_tier" in told_by(error)):
            return False
        self.service_tier = None
        return True

    def gives_way(self, error: openai.APIStatusError, prompt: Prompt) -> bool:
        """Whether the request can be made without what this refusal is about: the tier, or the limit's name."""
        told = told_by(error)
        is_unknown = UNKNOWN_FIELD.search(told) is not None
        if self.drops_tier(error) or self.concessions.learn(told, error.body, prompt):
            return True
        if self.asks_for_running and RUNNING_FIELDS.search(told):
            self.asks_for_running = False
            return True
        if self.asks_for_usage and is_unknown and "stream_options" in told:
            self.asks_for_usage = False
            return True
        name = self.limit_name(prompt.model, prompt.limit_name)
        is_about_limit = getattr(error, "param", None) in (NEW_LIMIT, OLD_LIMIT)
        if is_about_limit or (is_unknown and OLD_LIMIT in told) or (is_unknown and NEW_LIMIT in told):
            self.rename_limit(prompt.model, name)
            return True
        return False


class ChatReader(Reader):
    """One call."""

    errors: tuple[type[Exception], ...] = (openai.OpenAIError,)

    def __init__(self, provider: OpenAIProvider, prompt: Prompt) -> None:
        self._provider = provider
        self._prompt = prompt
        self._usage: dict[str, Any] = {}
        self._running = RunningFigures()
        self._model: object = None
        self._tier: object = None
        self._has_refused = False
        self._has_begun = False

    def open(self) -> httpx2.Response:
        """Ask for the stream; again where the model refuses a field that can be left out or renamed."""
        for _ in range(MOST_CONCESSIONS):
            try:
                return self._post()
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._provider.gives_way(error, self._prompt):
                    raise
        return self._post()

    def _post(self) -> httpx2.Response:
        return self._provider.post(self._prompt, "/chat/completions", self._body())

    def _body(self) -> dict[str, Any]:
        provider, prompt = self._provider, self._prompt
        limit = provider.limit_name(prompt.model, prompt.limit_name)
        names = (OLD_LIMIT, NEW_LIMIT) if limit == BOTH_LIMITS else (limit,)
        own = prompt.body if isinstance(prompt, WirePrompt) else {"messages": messages_of(prompt)}
        body = {
            **own,
            "model": prompt.model,
            "stream": True,
            **dict.fromkeys(names, prompt.max_output_tokens),
        }
        body.pop("stream_options", None)
        if provider.asks_for_usage:
            body["stream_options"] = {**mapping(own.get("stream_options")), "include_usage": True}
        if provider.service_tier:
            body["service_tier"] = provider.service_tier
        if provider.asks_for_running:
            body["timings_per_token"] = True
            if provider.asks_for_usage:
                body["stream_options"] |= {"continuous_usage_stats": True}
        return provider.concessions.applied(body, prompt)

    def hear(self, response: httpx2.Response) -> None:
        self._usage = joined(self._usage, report_in_headers(response.headers))

    def read(self, event: dict[str, Any]) -> str:
        """Fields of one event are no alternatives: one with an error may carry text, and the usage."""
        self._take_sender(event)
        if text := text_alone(event):
            self._has_begun = True
            return text
        if event is DONE:
            self.is_over, self.lacks_usage = True, not openai_usage(self._usage).output
            self.finish_reason = self.finish_reason or "stop"
            return ""
        if is_error(event):
            self.failure = failure(reason_of_event(event), "error event")
        report, thought = self._take_report(event), len(self.thinking)
        text = self._read_choice(choice_in(event))
        if report:
            self._running.add(report, text or self.thinking[thought:])
        return text

    def read_late(self, event: dict[str, Any]) -> None:
        self._take_sender(event)
        self._take_report(event)

    def _take_sender(self, event: dict[str, Any]) -> None:
        self._model = event.get("model") or self._model
        self._tier = event.get("service_tier") or self._tier

    def _take_report(self, event: dict[str, Any]) -> Raw:
        report: Raw = {}
        for usage in reports_in(event):
            report = joined(report, usage)
            self._usage = joined(self._usage, usage)
            self.has_final_usage = self.has_final_usage or bool(self.failure) or not event.get("choices")
        return report

    def _read_choice(self, choice: Raw) -> str:
        delta = delta_of(choice, has_begun=self._has_begun)
        if isinstance(choice, dict) and "delta" not in choice:
            choice["delta"] = delta
        self.thinking += thinking_of(delta)
        text = "" if is_thought(delta) else text_of(delta.get("content"))
        if refusal := text_of(delta.get("refusal")):
            self._has_refused = True
            text += refusal
        self._has_begun = self._has_begun or bool(text)
        if finish := choice.get("finish_reason"):
            self._finish(finish_of(finish))
        return text

    def _finish(self, reason: str) -> None:
        if reason == FAILED:
            self.failure = self.failure or failure("unavailable", "finish reason of a failure")
        if not self.failure:
            self.finish_reason = "refusal" if self._has_refused and reason == "stop" else reason

    def usage(self) -> TokenUsage:
        usage = openai_usage(self._running.applied_to(self._usage))
        if usage.source == "reported":
            self._provider.learn_from(self._prompt, usage.output)
        return usage

    def evidence(self) -> Evidence:
        return evidence(self._usage, model=self._model, tier=self._tier)


def told_by(error: Exception) -> str:
    """What a refusal is about, in the vendor's words."""
    return f"{getattr(error, 'param', None)} {getattr(error, 'body', None)}"[:2000]


def messages_of(prompt: Prompt) -> list[dict[str, Any]]:
    return [{"role": sent.role, "content": content_of(sent)} for sent in prompt.messages]


def content_of(message: PromptMessage) -> str | list[dict[str, Any]]:
    """The words alone, or images and words as parts. `detail` is named so that images count by the documented bound."""
    text = encodable(message.content)
    if not message.images:
        return text
    addresses = (f"data:{image.media_type};base64,{image.base64}" for image in message.images)
    shown = [{"type": "image_url", "image_url": {"url": address, "detail": "high"}} for address in addresses]
    return [*shown, {"type": "text", "text": text}]
