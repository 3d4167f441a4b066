"""The prompt of a conversation: its text, quoted files, and as many images as one request takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.models.catalog.ai_model import AIModel
from app.models.chat.attachment import MEGABYTE, Attachment
from app.models.metering.refusal import Refusal
from app.providers.base import PromptMessage
from app.providers.image_tokens import PromptImage, most_tokens, ordinary_tokens
from app.providers.thinking import without_thinking

MOST_IMAGES = 20
"""Above this many in a request, Anthropic takes only small ones."""

MOST_IMAGE_BYTES = 20 * MEGABYTE
"""Of one request, before it is written in base64: below every provider's limit, and what a running answer holds."""


@dataclass(frozen=True, slots=True)
class PromptTurn:
    """A message as a prompt needs it; `id` is None where it is not stored yet.

    `attached_id` is the message whose files it carries, `files` are those that wait to be sent with it.
    `is_refused`, of an answer: its question would be refused again.
    """

    id: int | None
    parent_id: int | None
    role: str
    content: str
    attached_id: int | None = None
    is_refused: bool = False
    files: tuple[Attachment, ...] = ()


def messages_for(path: Sequence[PromptTurn], model: AIModel, *, with_content: bool) -> list[PromptMessage]:
    """The path as prompt messages.

    Refusal where the last message has images and the model takes none; earlier images are then only mentioned, as are
    those that one request has no room for, the oldest first, and those that a model made: no vendor takes images in an
    answer. Without content, for an estimate, images are empty.
    """
    spoken = sendable(path)
    carried = {said.attached_id for said in spoken if said.attached_id}
    if not carried and not spoken[-1].files:
        return [PromptMessage(said.role, said.content) for said in spoken]
    files = Attachment.of_messages([*carried]) if carried else {}
    of_each = [[*files.get(said.attached_id or 0, ()), *said.files] for said in spoken]
    check_images(model, of_each[-1])
    asked = [own if said.role == "user" else () for said, own in zip(spoken, of_each, strict=True)]
    shown = newest_images(asked) if model.takes_images else set()
    return [
        message_of(said, own, [image_of(file, model, with_content=with_content) for file in own if file.id in shown])
        for said, own in zip(spoken, of_each, strict=True)
    ]


def sendable(path: Sequence[PromptTurn]) -> list[PromptTurn]:
    """What of the path is sent again: no thinking, and nothing of what was refused; the last message always."""
    *earlier, last = path
    refused = {said.parent_id for said in earlier if said.is_refused}
    kept = [said for said in earlier if not said.is_refused and said.id not in refused]
    return [*(said for said in map(without_thoughts, kept) if said.content), last]


def without_thoughts(said: PromptTurn) -> PromptTurn:
    """What a model thought is its own; a question may quote such marks."""
    if said.role != "assistant":
        return said
    content = without_thinking(said.content)
    return said if content is said.content else replace(said, content=content)


def alternating(messages: Sequence[PromptMessage]) -> list[PromptMessage]:
    """Questions that stand together, since no answer came between them, as one: many templates refuse them else."""
    joined: list[PromptMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            before = joined.pop()
            text = f"{before.content}\n\n{message.content}"
            joined.append(PromptMessage(message.role, text, (*before.images, *message.images)))
        else:
            joined.append(message)
    return joined


def check_images(model: AIModel, files: Sequence[Attachment]) -> None:
    if model.takes_images or not any(file.is_image for file in files):
        return
    other = next((offered for offered, _price in AIModel.for_sale() if offered.takes_images), None)
    details: dict[str, Any] = {"model": other.name, "model_title": other.title} if other else {}
    raise Refusal("images_not_taken", context={"title": model.title}, **details)


def newest_images(of_each: Sequence[Sequence[Attachment]]) -> set[int]:
    """The ids of the images that one request has room for, the newest first."""
    images = [file for files in reversed(of_each) for file in files if file.is_image][:MOST_IMAGES]
    room, shown = MOST_IMAGE_BYTES, set[int]()
    for file in images:
        room -= file.size
        if room < 0:
            break
        shown.add(file.id)
    return shown


def image_of(file: Attachment, model: AIModel, *, with_content: bool) -> PromptImage:
    width, height = file.width or 1, file.height or 1
    most = model.image_tokens or most_tokens(model.provider.kind, width, height)
    content = file.content if with_content else b""
    return PromptImage(file.media_type, content, most, min(most, ordinary_tokens(width, height)))


def message_of(said: PromptTurn, files: Sequence[Attachment], images: Sequence[PromptImage]) -> PromptMessage:
    """The texts first, as the vendors advise, then a word about images that are left out, then the question."""
    quoted = [file.quoted for file in files if not file.is_image]
    left_out = sum(file.is_image for file in files) - len(images)
    missing = [f"({left_out} attached image{'s' * (left_out > 1)} cannot be shown to you here.)"] if left_out else []
    return PromptMessage(said.role, "\n\n".join([*quoted, *missing, said.content]), tuple(images))
