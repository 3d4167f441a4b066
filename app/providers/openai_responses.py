"""OpenAI's responses, where an address speaks them; elsewhere the same call as a chat completion."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import httpx2

from app.providers.base import Evidence, Prompt, TokenUsage, WirePrompt
from app.providers.errors import failure, reason_of_event
from app.providers.finish_reasons import finish_of
from app.providers.reports import evidence
from app.providers.streamed_reply import Reader
from app.providers.usage import mapping, openai_usage

NOT_SPOKEN = (404, 405, 501)
MOST_CONCESSIONS = 2
NO_MODEL = ("model_not_found", "DeploymentNotFound")
SEALED = "reasoning.encrypted_content"


class ResponsesProvider(Protocol):
    """An address that may speak responses."""

    has_responses: bool
    has_summaries: bool
    is_openai: bool
    service_tier: str | None

    def drops_tier(self, error: Exception) -> bool: ...

    def post(self, prompt: Prompt, path: str, body: dict[str, Any]) -> httpx2.Response: ...


class ResponsesReader(Reader):
    """One call. `chat` makes the reader of a chat completion, for who answers that it does not speak responses."""

    def __init__(self, provider: ResponsesProvider, prompt: WirePrompt, chat: Callable[[Any, Prompt], Reader]) -> None:
        self._provider = provider
        self._prompt = prompt
        self._chat = chat(provider, self._substitute)
        self._is_chat = False
        self._seals = provider.is_openai and prompt.is_reasoning
        self._forgets = False
        self._response: Any = {}
        self.errors = self._chat.errors

    @property
    def _substitute(self) -> Prompt:
        prompt = self._prompt
        most = prompt.max_output_tokens
        return replace(prompt.instead or prompt, model=prompt.model, max_output_tokens=most, instead=None)

    def open(self) -> httpx2.Response:
        if self._provider.has_responses or self._prompt.instead is None:
            try:
                return self._post()
            except self.errors as error:
                told = [getattr(error, name, None) for name in ("status_code", "code", "param")]
                if told[0] not in NOT_SPOKEN or told[1] in NO_MODEL or told[2]:
                    raise
                self._provider.has_responses = False
                if self._prompt.instead is None:
                    raise failure("unspoken") from error
        self._is_chat = True
        return self._chat.open()

    def _post(self) -> httpx2.Response:
        """Ask; again without what is refused and can be left out."""
        for _ in range(MOST_CONCESSIONS):
            try:
                return self._provider.post(self._prompt, "/responses", self._body())
            except self.errors as error:
                if not self._provider.drops_tier(error) and not self._drops_thoughts(error):
                    raise
        return self._provider.post(self._prompt, "/responses", self._body())

    def _drops_thoughts(self, error: Exception) -> bool:
        """Whether this is about thoughts, which need not be asked for or told: where a model has none to seal, whatever
        its row says, an organisation may see none, or those of earlier turns were sealed by another.
        """
        field, provider = getattr(error, "param", None), self._provider
        known = (self._seals, provider.has_summaries, self._forgets)
        self._seals = self._seals and field != "include"
        self._forgets = self._forgets or getattr(error, "code", None) == "invalid_encrypted_content"
        if self._prompt.messages and field == "reasoning.summary":
            provider.has_summaries = False
        return known != (self._seals, provider.has_summaries, self._forgets)

    def _body(self) -> dict[str, Any]:
        prompt = self._prompt
        limits = {"model": prompt.model, "max_output_tokens": prompt.max_output_tokens}
        tier = {"service_tier": self._provider.service_tier} if self._provider.service_tier else {}
        thoughts = with_thoughts(prompt.body, seals=self._seals) if self._provider.is_openai else {}
        if self._forgets:
            thoughts["input"] = without_thoughts(prompt.body["input"], is_thought)
        if prompt.messages and not self._provider.has_summaries:
            reasoning = mapping(prompt.body.get("reasoning"))
            thoughts["reasoning"] = {name: value for name, value in reasoning.items() if name != "summary"}
        return {**prompt.body, **thoughts, **limits, **tier, "stream": True, "store": False}

    def hear(self, response: httpx2.Response) -> None:
        self._chat.hear(response)

    def read(self, event: dict[str, Any]) -> str:
        if self._is_chat:
            return self._read_chat(event)
        kind = str(event.get("type"))
        if kind in ("error", "response.failed"):
            told = mapping(event.get("response")).get("error") or event.get("error") or event
            self.failure = failure(reason_of_event({"error": told}), "error event")
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self._end(event)
        delta = event.get("delta")
        if not isinstance(delta, str):
            return ""
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            return delta
        self.thinking += delta
        return ""

    def _end(self, event: dict[str, Any]) -> None:
        self._response = mapping(event.get("response"))
        self.has_final_usage = bool(mapping(self._response.get("usage")))
        if not self.failure:
            reason = mapping(self._response.get("incomplete_details")).get("reason")
            self.finish_reason, self.is_over = finish_of(reason or "stop"), True

    def _read_chat(self, event: dict[str, Any]) -> str:
        text, chat = self._chat.read(event), self._chat
        self.finish_reason, self.is_over, self.failure = chat.finish_reason, chat.is_over, chat.failure
        self.has_final_usage, self.thinking = chat.has_final_usage, chat.thinking
        self.lacks_usage = chat.lacks_usage
        return text

    def read_late(self, event: dict[str, Any]) -> None:
        self._chat.read_late(event)

    def usage(self) -> TokenUsage:
        return self._chat.usage() if self._is_chat else openai_usage(mapping(self._response.get("usage")))

    def evidence(self) -> Evidence:
        if self._is_chat:
            return self._chat.evidence()
        raw, response = mapping(self._response.get("usage")), self._response
        return evidence(raw, model=response.get("model"), tier=response.get("service_tier"))


def with_thoughts(body: Mapping[str, Any], *, seals: bool) -> dict[str, Any]:
    """Nothing is stored: thoughts go with the answer, sealed, and come back with the next turn; others are unknown."""
    items, asked = body.get("input"), body.get("include") or ()
    fields: dict[str, Any] = {"include": list(dict.fromkeys((*asked, SEALED)))} if seals else {}
    if not isinstance(items, list) or not any(map(is_lost, items)):
        return fields
    return fields | {"input": without_thoughts(items, is_lost)}


def without_thoughts(items: Any, of_these: Callable[[Any], bool]) -> Any:
    return [without_id(mapping(item)) for item in items if not of_these(item)] if isinstance(items, list) else items


def without_id(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item that is known by its id is not taken without the thoughts before it."""
    is_said = item.get("type") in (None, "message", "function_call", "custom_tool_call")
    return {name: value for name, value in item.items() if name != "id" or not is_said}


def is_thought(item: Any) -> bool:
    return bool(mapping(item).get("type") == "reasoning")


def is_lost(item: Any) -> bool:
    return is_thought(item) and not item.get("encrypted_content")
