"""Images over JSON: make some at a fixed price, in a chat, for a document or by themselves; what is on offer."""

from typing import Annotated, Any

from flask import Response, g
from flask_login import current_user
from pydantic import BeforeValidator, Field, WithJsonSchema
from sqlalchemy import select

from app.api.attachments import ATTACHMENT, shown_attachment
from app.api.blueprint import answer_of, api, or_404, page_in
from app.api.bodies import Count, Filled, Identifier, Text
from app.api.calls import ONCE, STREAM, Limits, call_options, wants_html
from app.api.event_stream import stream_of_call, stream_of_generation
from app.api.messages import followed
from app.api.new_chats import ChatSettings, NewChat, begun
from app.api.rate_limits import limited_sends
from app.api.schemas import EVENTS, MOMENT, PAGING, TEXT, amounts, array, described, or_null, page, shape
from app.extensions import db
from app.generation.call import earlier
from app.generation.images import LONGEST_PROMPT, ImageRequest, make
from app.models.base import utcnow
from app.models.catalog.image_price import MOST_IMAGES, image_offers
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat, Message
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import InvalidRequest
from app.models.metering.usage import Usage
from app.web.access import own_chat, own_document
from app.web.gate import requires_tokens, says_remaining


def settings_of(new_chat: Any) -> ChatSettings | None:
    """Of a chat to begin: the usual ones for true, None for false."""
    if new_chat is None or isinstance(new_chat, bool):
        return ChatSettings() if new_chat else None
    if not isinstance(new_chat, dict):
        raise ValueError("must be true, false or the settings of a chat.")
    try:
        return ChatSettings.of(new_chat)
    except InvalidRequest as error:
        raise ValueError(
            " ".join(f"`{name}`: {text}" for name, texts in error.errors.items() for text in texts)
        ) from None


HowMany = Annotated[Count, Field(le=MOST_IMAGES)]
Named = Annotated[Text, Field(max_length=200)]
ChatToBegin = Annotated[
    ChatSettings | None,
    BeforeValidator(settings_of),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, ChatSettings.json_schema()]}),
]
PRICE = shape("ImagePrice", quality=TEXT, size=TEXT, **amounts("price"))
MODEL = shape("ImageModel", id=TEXT, provider=TEXT, name=TEXT, prices=array(PRICE))
CALL = shape(
    "ImageCall",
    call_id=TEXT,
    model=TEXT,
    status={"enum": ["running", "done", "stopped", "failed", "interrupted"]},
    chat_id=or_null(TEXT),
    document_id=or_null(TEXT),
    created_at=MOMENT,
    images=array(ATTACHMENT),
    **amounts("cost", "ceiling"),
)


class NewImages(Limits):
    """What is left out is the usual one. With `new_chat` (true, or its settings) a chat begins with them; with neither
    chat nor document they stand by themselves, and `GET /api/images/{call_id}` has them."""

    prompt: Annotated[Filled, Field(max_length=LONGEST_PROMPT)]
    quality: Named = ""
    size: Named = ""
    n: HowMany = 1
    chat_id: Identifier | None = None
    document_id: Identifier | None = None
    new_chat: ChatToBegin = None


@api.post("/images")
@limited_sends
@says_remaining("images")
@requires_tokens
@described(
    "Make images at a fixed price; `done` lists them in `images`, and only delivered ones are charged",
    STREAM,
    body=NewImages,
    headers=ONCE,
    kind=EVENTS,
)
def make_images() -> Response:
    sent = NewImages.read()
    options = call_options(sent)
    if call := earlier(current_user, options):
        message = db.session.scalar(select(Message).filter_by(call_id=call.id, role="assistant"))
        return followed(message) if message is not None else stream_of_call(call)
    generation = make(current_user, request_of(sent), options)
    g.available_nanos = generation.reservation.available
    return stream_of_generation(generation, as_html=wants_html())


@api.get("/images/<call_id>")
@described("Get the images of a call and their cost", CALL)
def read_images(call_id: str) -> dict[str, Any]:
    call = or_404(Usage.find(call_id, **current_user.own))
    or_404(call.image_price)
    return answer_of(
        CALL,
        call,
        call_id=call.id,
        status=call.outcome or "running",
        images=[shown_attachment(file) for file in Attachment.of_call(call.id)],
        cost_nanos=call.paid_nanos,
        ceiling_nanos=call.reserved_nanos,
    )


@api.get("/image-models")
@described("List image models with their prices by quality and size", page(MODEL), query=PAGING)
def list_image_models() -> dict[str, Any]:
    allowed = AccountState.load(current_user.account_id).models
    models: dict[str, dict[str, Any]] = {}
    for offer in image_offers(utcnow()):
        model, price = offer.model, offer.price
        if allowed and model.name not in allowed:
            continue
        named = {"id": model.name, "provider": model.provider.name, "name": model.title, "prices": []}
        models.setdefault(model.name, named)["prices"].append(answer_of(PRICE, price))
    return page_in([*models.values()])


def request_of(sent: NewImages) -> ImageRequest:
    """What the body asks for; InvalidRequest where it names two places."""
    named = {"chat_id": sent.chat_id, "document_id": sent.document_id, "new_chat": sent.new_chat}
    places = [name for name, value in named.items() if value]
    if len(places) > 1:
        raise InvalidRequest({places[1]: [f"can't be combined with `{places[0]}`: images belong to one place."]})
    document = own_document(sent.document_id) if sent.document_id else None
    return ImageRequest(sent.prompt, sent.quality, sent.size, sent.n, chat_of(sent), document)


def chat_of(sent: NewImages) -> Chat | None:
    """The chat that the images are made in; a new one is undone by a refusal."""
    if sent.new_chat:
        return begun(NewChat(write_title=False).model_copy(update=dict(sent.new_chat)))
    return own_chat(sent.chat_id) if sent.chat_id else None
