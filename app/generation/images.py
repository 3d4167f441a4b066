"""Images at a fixed price: asked for in a chat, for a document or by themselves; charged as they are delivered."""

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.extensions import db
from app.generation.call import CallOptions, Context, own_model, start
from app.generation.exchange import Exchange
from app.generation.generation import LOST, Generation, Outcome
from app.generation.prompt import PromptTurn
from app.generation.text_checkpoint import FinishedText, KeptText
from app.models.base import utcnow
from app.models.catalog.image_price import ImageOffer, image_offer
from app.models.catalog.operation import Operation
from app.models.chat.attachment import Attachment, image_facts, most_bytes, plain_name
from app.models.chat.chat import Chat, title_of
from app.models.chat.picture import NotReadable, Picture, read_picture
from app.models.documents.document import Document
from app.models.identity.actor import Actor
from app.models.identity.user import User, is_erased
from app.models.metering.account_state import AccountState
from app.models.metering.budget import ChatBudget
from app.models.metering.key_limit import models_open_to
from app.models.metering.plan_limits import check_images
from app.models.metering.refusal import InvalidRequest, Refusal
from app.models.metering.reservation import Reservation, settle_with
from app.models.metering.usage import Usage
from app.providers.base import ImagePrompt, ImageProvider, ImageUsage, Prompt, Provider, Reply, TokenUsage
from app.providers.demo_painter import pixels_of

OPERATION = "image"
LONGEST_PROMPT = 4_000
LARGEST_MADE = 40_000_000
SLASHES = re.compile(r"[\\/]")
BYTES_A_PIXEL = 2
"""What an image takes up, about: for whether there is room before it is made."""

STOPPED = "You stopped this. Images can't be stopped midway, so they are kept and charged."


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What is asked for; nothing said of quality and size is the usual. It belongs to a chat, a document or nothing."""

    prompt: str
    quality: str = ""
    size: str = ""
    count: int = 1
    chat: Chat | None = None
    document: Document | None = None


def make(actor: Actor, request: ImageRequest, options: CallOptions) -> Generation:
    """Begin to make images. Refusal, InvalidRequest or Conflict where it cannot be: nothing is spent or stored."""
    offer = offer_of(actor, request, options)
    prompt = prompt_of(request, offer)
    context = Context(
        columns_of(request, offer),
        store=partial(store, request, prompt),
        made=partial(ImageGeneration, Place.of(actor, request)),
        budget=ChatBudget.of(request.chat) if request.chat else None,
    )
    return start(actor, OPERATION, prompt, (offer.model, offer), options=options, context=context)


def estimate(actor: Actor, request: ImageRequest, options: CallOptions) -> tuple[ImagePrompt, ImageOffer]:
    """What would be asked for, and the offer that says its price. Reserves nothing."""
    offer = offer_of(actor, request, options)
    return prompt_of(request, offer), offer


def offer_of(actor: Actor, request: ImageRequest, options: CallOptions) -> ImageOffer:
    allowed = (actor.account_state or AccountState.load(actor.account_id)).models
    model = options.model or own_model(Operation.named(OPERATION), actor) or ""
    return image_offer(model, request.quality, request.size, allowed=models_open_to(actor.key_limits, allowed))


def prompt_of(request: ImageRequest, offer: ImageOffer) -> ImagePrompt:
    if len(request.prompt) > LONGEST_PROMPT:
        raise InvalidRequest({"prompt": [f"is longer than {LONGEST_PROMPT:,} characters."]})
    told = Operation.named(OPERATION).instructions_for()
    text = f"{told}\n\n{request.prompt}" if told else request.prompt
    price = offer.price
    return ImagePrompt.of(offer.model.name, text, quality=price.quality, size=price.size, count=request.count)


def columns_of(request: ImageRequest, offer: ImageOffer) -> dict[str, Any]:
    return {
        "image_price_id": offer.price.id,
        "chat_id": request.chat and request.chat.id,
        "document_id": request.document and request.document.id,
    }


def store(request: ImageRequest, prompt: ImagePrompt, reservation: Reservation) -> KeptText | None:
    """Write the messages of a chat. The account is held: limits and room are looked at here, with this call counted."""
    account_state = AccountState.load(reservation.account_id)
    check_images(account_state, prompt.max_output_tokens, utcnow())
    check_room(reservation.account_id)
    if request.chat is None:
        return None
    chat = request.chat
    question = PromptTurn(None, chat.leaf_id, "user", request.prompt)
    exchange = Exchange(chat, question, prompt.model, utcnow(), is_by_the_way=True)
    ids = exchange.write(db.session.connection(), reservation.usage_id)
    return exchange.kept(ids)


def check_room(account_id: int) -> None:
    """Room for the files of all images that are being made. Refusal with what there is."""
    running = db.session.query(Usage).filter_by(account_id=account_id, state="running", operation=OPERATION)
    coming = sum(call.max_output_tokens * likely_bytes(call.image_price.size) for call in running)
    held, most = Attachment.bytes_of(account_id), most_bytes()
    if held + coming > most:
        counts = {"used": held, "limit": most, "remaining": max(0, most - held)}
        raise Refusal("files_full", counts=counts)


def likely_bytes(size: str) -> int:
    side = {"2K": 2048, "4K": 4096}.get(size.rpartition(" ")[2])
    width, height = (side, side) if side else pixels_of(size)
    return width * height * BYTES_A_PIXEL


@dataclass(frozen=True, slots=True)
class Place:
    """Whose the files will be, what they are called, and what they belong to."""

    account_id: int
    user_id: int
    name: str
    document_id: int | None
    chat_id: int | None

    @classmethod
    def of(cls, actor: Actor, request: ImageRequest) -> "Place":
        document_id = request.document.id if request.document else None
        chat_id = request.chat.id if request.chat else None
        return cls(actor.account_id, actor.user_id, request.prompt, document_id, chat_id)

    @property
    def is_gone(self) -> bool:
        """Whether what they were made for, or their person, was deleted meanwhile: then nothing of it is kept."""
        if is_erased(db.session.get_one(User, self.user_id).email):
            return True
        document = db.session.get(Document, self.document_id) if self.document_id else None
        chat = db.session.get(Chat, self.chat_id) if self.chat_id else None
        return any(one is not None and one.deleted_at is not None for one in (document, chat))

    def file(self, picture: Picture, content: bytes, number: int) -> Attachment:
        kind = picture.media_type.rpartition("/")[2]
        name = f"{plain_name(SLASHES.sub('-', title_of(self.name)))} {number}.{kind}"
        owner = {"account_id": self.account_id, "user_id": self.user_id, "document_id": self.document_id}
        return Attachment(name=name, **owner, **image_facts(picture, content))


class ImageGeneration(Generation):
    """Images being made. Each that can be read is delivered; the others are not charged."""

    def __init__(self, place: Place, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.place = place
        self.delivered: list[tuple[Picture, bytes]] = []

    def _ask(self, provider: Provider, prompt: Prompt) -> Reply:
        assert isinstance(prompt, ImagePrompt)
        painter: ImageProvider = provider  # type: ignore[assignment]
        return painter.draw(prompt)

    def _read_to_the_end(self, provider: Provider, prompt: Prompt) -> Generator[None, None, Outcome]:
        ending = yield from super()._read_to_the_end(provider, prompt)
        if ending.status not in {"done", "stopped"}:
            return ending
        self.delivered = readable(getattr(self.reply, "images", ()), self.reservation.prompt.max_output_tokens)
        if not self.delivered:
            return Outcome("failed", None, "provider_error", UNREADABLE)
        with self.changed:
            self.parts.append(self.caption)
            self.changed.notify_all()
        return replace(ending, detail=STOPPED) if ending.status == "stopped" else ending

    @property
    def caption(self) -> str:
        """What stands for the images where only text is read."""
        made, asked = len(self.delivered), self.reservation.prompt.max_output_tokens
        return f"{made} of {asked} images." if made < asked else f"{made} image{'s'[: made != 1]}."

    def _usage(self, status: str) -> TokenUsage:
        """The vendor's tokens, and the images that were delivered."""
        reported = self.reply.usage if self.reply else ImageUsage()
        return replace(reported, images=len(self.delivered))

    def _finished_text(self, ending: Outcome) -> FinishedText | None:
        """The answer carries the images as a question carries its files."""
        text = super()._finished_text(ending)
        if text is None or not self.delivered:
            return text
        return replace(text, columns={**text.columns, "attached_id": text.kept.row_id})

    def _settle_once(self, ending: Outcome) -> Outcome:
        with self.app.app_context():
            text = self._finished_text(ending)
            usage = self._usage(ending.status)
            receipt = settle_with(text, self.reservation, usage, ending.status, self.call_ending)
            if receipt is None:
                return LOST
            self._file()
            db.session.commit()
            self._count(ending.status, receipt)
            self._ring(receipt)
            return replace(ending, receipt=receipt)

    def _file(self) -> None:
        """Keep the images, with the receipt that they are charged by."""
        if self.place.is_gone:
            return
        message_id = self.kept.row_id if self.kept else None
        for number, (picture, content) in enumerate(self.delivered, 1):
            file = self.place.file(picture, content, number)
            file.call_id, file.message_id = self.reservation.usage_id, message_id
            db.session.add(file)


def readable(images: Any, most: int) -> list[tuple[Picture, bytes]]:
    """The images that are images, no more than were asked for."""
    made = []
    for content in images[:most]:
        try:
            picture = read_picture(content, LARGEST_MADE)
        except NotReadable:
            continue
        if picture is not None:
            made.append((picture, content))
    return made


UNREADABLE = "The model's provider sent no readable image. Nothing was charged. Please try again."
