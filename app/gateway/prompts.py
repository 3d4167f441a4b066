"""Turns a request in one dialect into what its model's provider is sent, with the bound to reserve."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import request

from app.gateway.blueprint import text_of, whole_number
from app.gateway.chat_from_messages import chat_from_messages
from app.gateway.chat_from_messages import text_of as joined_text
from app.gateway.chat_from_responses import chat_from_responses
from app.gateway.chat_with_blocks import without_blocks
from app.gateway.field_types import check_types
from app.gateway.input_bound import measured, media_of
from app.gateway.messages_from_chat import messages_from_chat
from app.gateway.priced_fields import allowed_betas, check_fields
from app.gateway.responses_from_messages import responses_from_messages
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.metering.refusal import InvalidRequest, Refusal
from app.providers.base import PromptMessage, WirePrompt

LIMITS = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
NATIVE = {"chat": "openai", "responses": "openai", "messages": "anthropic"}
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """What is asked, to be answered in `dialect`; `body` is without what is replaced anyway: model, limit, stream.

    `form` is the dialect of the body: Cursor's agent asks for chat completions in the form of responses.
    """

    dialect: str
    form: str
    model: str
    body: Fields
    max_output_tokens: int | None
    is_stream: bool
    headers: Mapping[str, str]

    @classmethod
    def read(cls, dialect: str, sent: Fields) -> "GatewayRequest":
        form = "responses" if dialect == "chat" and "input" in sent and "messages" not in sent else dialect
        check_types(form, sent)
        names = dict.fromkeys((*LIMITS[form], *LIMITS[dialect]))
        limits = [whole_number(sent, name) for name in names]
        body = {name: value for name, value in sent.items() if name not in ("model", "stream", *names)}
        body = without_offers(form, body)
        check_fields(form, body)
        if body.get("messages") == []:
            raise InvalidRequest({"messages": ["is empty."]})
        if form == "chat":
            body = without_blocks(body)
        asked = next((limit for limit in limits if limit is not None), None)
        return cls(dialect, form, text_of(sent, "model"), body, asked, sent.get("stream") is True, betas())

    @property
    def wants_usage(self) -> bool:
        """Whether a stream of chunks ends with one of usage; a whole completion always has it."""
        options = self.body.get("stream_options")
        return not self.is_stream or (isinstance(options, dict) and options.get("include_usage") is True)

    def prompt_for(self, model: AIModel) -> WirePrompt:
        """What goes to the model's provider: this request as it is, or in the provider's own format."""
        try:
            return replace(self._prompt_for(model), for_model=self.prompt_for)
        except RecursionError:
            raise InvalidRequest({"body": ["is nested too deeply."]}) from None

    def _prompt_for(self, model: AIModel) -> WirePrompt:
        kind = model.provider.kind
        if not model.takes_images and any(block["type"].find("image") >= 0 for block in media_of(self.body)):
            raise Refusal("images_not_taken", context={"title": model.title})
        most = min(self.max_output_tokens or Setting.get("max_output_tokens"), model.max_output_tokens)
        extra = model.extra_input_tokens or 0
        prompt = WirePrompt(model.name, (), most, model.is_reasoning, extra, headers=self.headers)
        if kind == NATIVE[self.dialect] and self.form == self.dialect:
            bound, counted = measured(self.body, model)
            prompt = replace(prompt, dialect=self.dialect, body=self.body, bound=bound, counted=counted)
            return self._with_substitute(prompt, model) if self.dialect == "responses" else prompt
        chat = self._as_chat(model)
        body = self._as_messages(chat, model) if kind == "anthropic" else chat
        bound, counted = measured(body, model)
        translated = replace(prompt, dialect="messages" if kind == "anthropic" else "chat", body=body, headers={})
        translated = replace(translated, messages=spoken(chat), bound=bound, counted=counted)
        return self._with_responses(translated, model) if self.dialect == "messages" else translated

    def _as_chat(self, model: AIModel) -> Fields:
        if self.form == "messages":
            return chat_from_messages(self.body, is_reasoning=model.is_reasoning)
        if self.form == "responses":
            return chat_from_responses(self.body, is_reasoning=model.is_reasoning)
        return self.body

    @staticmethod
    def _as_messages(chat: Fields, model: AIModel) -> Fields:
        return messages_from_chat(chat, model.upstream_name or model.name, is_reasoning=model.is_reasoning)

    def _with_substitute(self, prompt: WirePrompt, model: AIModel) -> WirePrompt:
        """Beside the request the same one as a chat completion: few who speak that speak responses too."""
        try:
            chat = self._as_chat(model)
        except InvalidRequest:
            return prompt
        bound, counted = measured(chat, model)
        instead = replace(prompt, dialect="chat", body=chat, bound=bound, counted=counted)
        return replace(prompt, instead=instead, bound=max(prompt.bound, bound))

    def _with_responses(self, prompt: WirePrompt, model: AIModel) -> WirePrompt:
        """Beside the chat completion the same request for responses: there OpenAI's models think beside tools."""
        if model.provider.kind != "openai" or not model.is_reasoning or self.body.get("stop_sequences"):
            return prompt
        body = responses_from_messages(self.body)
        bound, counted = measured(body, model)
        instead = replace(prompt, dialect="responses", body=body, bound=bound, counted=counted)
        return replace(prompt, instead=instead, bound=max(prompt.bound, bound))


def betas() -> dict[str, str]:
    names = allowed_betas(request.headers.get("anthropic-beta", ""))
    return {"anthropic-beta": names} if names else {}


def spoken(chat: Mapping[str, Any]) -> tuple[PromptMessage, ...]:
    """The texts of a conversation, for who reads nothing else: the demo models."""
    said = [message for message in chat.get("messages") or () if message.get("role") in ("system", "user", "assistant")]
    return tuple(PromptMessage(message["role"], joined_text(message.get("content"))) for message in said)


SEARCHES = ("web_search", "web_search_preview")


def without_offers(dialect: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Codex offers a web search with each request, unless its user says otherwise: it is left out, not refused."""
    tools = body.get("tools")
    is_codex = dialect == "responses" and request.headers.get("originator", "").startswith("codex")
    if not is_codex or not isinstance(tools, list):
        return dict(body)
    kept = [tool for tool in tools if not (isinstance(tool, Mapping) and tool.get("type") in SEARCHES)]
    return {**body, "tools": kept}
