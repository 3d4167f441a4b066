"""What a call will come to, and the most it can cost, before it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from flask_login import current_user
from pydantic import Field

from app.api.blueprint import amount, api
from app.api.bodies import CountOrNone, Identifier, Text
from app.api.calls import Limits, call_options
from app.api.chats import default_model, my_chat
from app.api.document_calls import request_of
from app.api.documents import my_document
from app.api.messages import Files
from app.api.schemas import COUNT, TEXT, amounts, described, shape
from app.generation import documents, send
from app.models.catalog.price import ModelPrice
from app.models.chat.chat import Chat
from app.models.metering.refusal import InvalidRequest
from app.providers.base import Prompt
from app.web.access import for_guests_too, for_scope

ESTIMATE = shape("Estimate", model=TEXT, left_out=COUNT, **amounts("expected", "ceiling"))
Operation = Literal["chat", "draft", "refine", "refine_selection", "repurpose", "image_prompt"]


class EstimateRequest(Limits):
    """Of a question its `content`, of a new chat without `chat_id`; of a call about a document what that takes."""

    operation: Operation = "chat"
    content: Text = ""
    chat_id: Identifier | None = None
    system_prompt: Text = ""
    attachments: Files = Field(default_factory=list)
    document_id: Identifier | None = None
    instructions: Text = ""
    title: Text = ""
    kind: Text = ""
    start: CountOrNone | None = None
    end: CountOrNone | None = None
    revision: CountOrNone | None = None


@api.post("/estimate")
@for_scope("read")
@for_guests_too
@described(
    "What a question or another operation will come to, and the most it can cost; charges nothing",
    ESTIMATE,
    body=EstimateRequest,
)
def estimate_call() -> dict[str, Any]:
    sent = EstimateRequest.read()
    prompt, price = estimate_question(sent) if sent.operation == "chat" else estimate_document(sent)
    expected, ceiling = price.expected_cost_of(prompt), price.ceiling_of(prompt)
    amounts_of = {**amount("expected", expected), **amount("ceiling", ceiling)}
    return {"model": prompt.model, **amounts_of, "left_out": prompt.left_out}


def estimate_question(sent: EstimateRequest) -> tuple[Prompt, ModelPrice]:
    if not sent.content.strip():
        raise InvalidRequest({"content": ["is empty." if sent.content else "is missing."]})
    chat = my_chat(sent.chat_id) if sent.chat_id else Chat(model="", system_prompt=sent.system_prompt)
    options = call_options(sent, chat.model or default_model())
    files = tuple(dict.fromkeys(map(int, sent.attachments)))
    return send.estimate(current_user, chat, sent.content, replace(options, files=files))


def estimate_document(sent: EstimateRequest) -> tuple[Prompt, ModelPrice]:
    document = my_document(sent.document_id) if sent.document_id else None
    request, options = request_of(sent.operation, sent), call_options(sent)
    return documents.estimate(current_user, document, request, options)
