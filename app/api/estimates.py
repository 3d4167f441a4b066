"""Estimates: what a call is expected to cost, and the most it can."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from flask_login import current_user
from pydantic import Field
from sqlalchemy.orm.attributes import set_committed_value

from app.api.blueprint import amount, api
from app.api.bodies import CountOrNone, Flag, Identifier, Text
from app.api.calls import Limits, call_options
from app.api.chats import default_model
from app.api.document_calls import request_of
from app.api.images import HowMany
from app.api.messages import Files, my_message
from app.api.schemas import COUNT, MOMENT, TEXT, amounts, described, or_null, shape
from app.generation import documents, images, send
from app.models.base import iso, utcnow
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_ahead import prices_ahead
from app.models.chat.chat import Chat, checked_instructions
from app.models.metering.refusal import InvalidRequest
from app.providers.base import Prompt
from app.web.access import for_guests_too, for_scope, own_chat, own_document

A_DAY = timedelta(days=1)
LATER = shape("LaterEstimate", effective_from=MOMENT, **amounts("expected", "ceiling"))
ESTIMATE = shape("Estimate", model=TEXT, left_out=COUNT, later=or_null(LATER), **amounts("expected", "ceiling"))
Operation = Literal["chat", "draft", "refine", "refine_selection", "repurpose", "image_prompt", "image"]


class EstimateRequest(Limits):
    """Of a question its `content`, of an answer again its `message_id`, of a new chat `content` without `chat_id`;
    of a call about a document or of images what that takes.
    """

    operation: Operation = "chat"
    content: Text = ""
    chat_id: Identifier | None = None
    message_id: (
        Annotated[Identifier, Field(description="An answer to give again, or a question to replace by `content`.")]
        | None
    ) = None
    goes_on: Annotated[Flag, Field(description="true: estimate continuing this answer instead of a new one.")] = False
    system_prompt: Text = ""
    attachments: Files = Field(default_factory=list)
    document_id: Identifier | None = None
    instructions: Text = ""
    title: Text = ""
    kind: Text = ""
    start: CountOrNone | None = None
    end: CountOrNone | None = None
    revision: CountOrNone | None = None
    prompt: Text = ""
    quality: Text = ""
    size: Text = ""
    n: HowMany = 1


@api.post("/estimate")
@for_scope("read")
@for_guests_too
@described(
    "Estimate a message or operation: the expected and the maximum cost; free",
    ESTIMATE,
    body=EstimateRequest,
)
def estimate_call() -> dict[str, Any]:
    sent = EstimateRequest.read()
    if sent.operation == "image":
        return estimate_images(sent)
    prompt, price = estimate_question(sent) if sent.operation == "chat" else estimate_document(sent)
    figures = figures_of(prompt, price)
    return {"model": prompt.model, **figures, "left_out": prompt.left_out, "later": later_figures(prompt)}


def estimate_images(sent: EstimateRequest) -> dict[str, Any]:
    """A fixed price: what is expected is the most."""
    request = images.ImageRequest(sent.prompt, sent.quality, sent.size, sent.n)
    prompt, offer = images.estimate(current_user, request, call_options(sent))
    price = offer.ceiling_of(prompt)
    figures = {**amount("expected", price), **amount("ceiling", price)}
    return {"model": prompt.model, **figures, "left_out": 0, "later": None}


def figures_of(prompt: Prompt, price: ModelPrice) -> dict[str, Any]:
    expected, ceiling = price.expected_cost_of(prompt), price.ceiling_of(prompt)
    return {**amount("expected", expected), **amount("ceiling", ceiling)}


def later_figures(prompt: Prompt) -> dict[str, Any] | None:
    """What the same will come to where another price begins within a day."""
    for ahead in prices_ahead(utcnow(), A_DAY, prompt.model):
        return {"effective_from": iso(ahead.begins), **figures_of(prompt, ahead.price_then())}
    return None


def estimate_question(sent: EstimateRequest) -> tuple[Prompt, ModelPrice]:
    message = my_message(sent.message_id) if sent.message_id else None
    if message and message.role == "assistant":
        chat, options = own_chat(message.chat_id), call_options(sent, message.model or default_model())
        estimated = send.estimate_on if sent.goes_on else send.estimate_again
        return estimated(chat, message, options)
    if not sent.content.strip():
        raise InvalidRequest({"content": ["is empty." if sent.content else "is missing."]})
    chat_id = message.chat_id if message else sent.chat_id
    new = Chat(**current_user.owns, model="", system_prompt=checked_instructions(sent.system_prompt))
    chat = own_chat(chat_id) if chat_id else new
    if sent.document_id:
        set_committed_value(chat, "document_id", own_document(sent.document_id).id)
    options = call_options(sent, chat.model or default_model())
    files = tuple(dict.fromkeys(map(int, sent.attachments)))
    return send.estimate(current_user, chat, sent.content, replace(options, files=files), edited=message)


def estimate_document(sent: EstimateRequest) -> tuple[Prompt, ModelPrice]:
    document = own_document(sent.document_id) if sent.document_id else None
    request, options = request_of(sent.operation, sent), call_options(sent)
    return documents.estimate(current_user, document, request, options)
