"""An upper bound of a request's input tokens: its JSON, every image, every document."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from app.gateway.pdf_pages import pages_of
from app.gateway.pdf_text import text_size
from app.gateway.priced_fields import items_of, maps_in, not_priced, tools_within
from app.models.catalog.ai_model import AIModel
from app.models.chat.picture import size_of
from app.models.metering.refusal import InvalidRequest
from app.providers.base import TOKENS_PER_MESSAGE, estimate_tokens
from app.providers.image_tokens import most_tokens, ordinary_tokens

LARGEST_SIDE = 8_000
PAGE_TOKENS, MOST_TEXT = 4_000, 2_000_000
"""Text of a page of a document, beside its image; where its pages hold more, its strings count, of so many bytes."""

MOST_MEDIA = 1_500
"""Images and documents of a request: what OpenAI takes at most, and Anthropic takes fewer."""

PDF, HEADER_BYTES = b"%PDF-", 1_024
"""How a PDF begins, and within how many bytes."""

TOOL_PROMPT, TOOL_TOKENS, TOOLSET_TOKENS = 1_000, 1_000, 10_000
"""What a vendor adds where there are tools, for each tool that it defines itself, for each set of some thirty."""

MEDIA = ("image", "image_url", "input_image", "document", "file", "input_file")
NOT_PRICED = re.compile(r"audio|video|image|document|file|screenshot|container_upload|item_reference")
PLACES = ("source", "file", "image_url")
CARRIERS = ("data", "url", "image_url", "file_data", "file_url", "file_id", "content")
"""Where a block holds what it carries: itself or one of its `PLACES`, by one of these names."""

ONLY_OF_MEDIA = ("video_url", "input_audio", *PLACES, "file_data", "file_url", "file_id")
"""Names that a part of text does not have, so that one without a type is none."""


def measured(body: Mapping[str, Any], model: AIModel) -> tuple[int, int]:
    """An upper bound of the input tokens of a request, and what they are by our own count."""
    text = json.dumps(body, ensure_ascii=False)
    media = list(islice(media_of(body), MOST_MEDIA + 1))
    if len(media) > MOST_MEDIA:
        raise InvalidRequest({"body": [f"may hold {MOST_MEDIA:,} images and documents at most."]})
    size = len(text.encode("utf-8", "replace"))
    counted = estimate_tokens(text)
    for block in media:
        data, most, ordinary = measure_of(block, model, MOST_TEXT // len(media))
        size += most - len(data)
        counted += ordinary - len(data) // 4
    messages = body.get("messages") or body.get("input") or []
    around = TOKENS_PER_MESSAGE * (len(messages) + 1 if isinstance(messages, list) else 2)
    return size + around + tools_bound(tools_of(body)), max(1, counted)


def tools_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All tools of a request: beside its messages, and those that come with a turn."""
    lists = [body.get("tools"), *(tools for item in items_of(body) for tools in tools_within(item))]
    return [tool for tools in lists for tool in maps_in(tools)]


def tools_bound(tools: list[Mapping[str, Any]]) -> int:
    own = [str(tool["type"]) for tool in tools if tool.get("type") not in (None, "function", "custom")]
    added = sum(TOOLSET_TOKENS if "toolset" in kind else TOOL_TOKENS for kind in own)
    return TOOL_PROMPT + added if tools else 0


def media_of(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every image and document of the messages; a tool's schema is text, whatever it looks like."""
    for name in ("messages", "input", "system"):
        messages = body.get(name)
        for message in messages if isinstance(messages, list) else ():
            yield from media_in(message, name)


def media_in(block: Any, field: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(block, Mapping):
        return
    kind = block.get("type")
    if kind in MEDIA:
        yield block
        return
    if isinstance(kind, str) and NOT_PRICED.search(kind):
        raise not_priced(kind)
    if kind is None and any(name in block for name in ONLY_OF_MEDIA):
        raise InvalidRequest({field: ["holds a part without a type."]})
    for name in ("content", "output"):
        inner = block.get(name)
        for part in inner if isinstance(inner, list) else (inner,):
            yield from media_in(part, field)


def measure_of(block: Mapping[str, Any], model: AIModel, room: int = 0) -> tuple[str, int, int]:
    """The encoded bytes of an image or document, the most tokens that it can count as, and an ordinary count."""
    source = source_of(block)
    if source.get("file_id") or source.get("type") == "file":
        raise not_priced("file_id")
    if block["type"] in ("image", "image_url", "input_image"):
        data = data_of(source, "data", "url", "image_url")
        return data, *image_tokens(data, model, is_original=detail_of(block) not in ("low", "high"))
    if source.get("type") in ("text", "content"):
        inner = [part for part in source.get("content") or () if isinstance(part, Mapping)]
        images = [measure_of(part, model) for part in inner if part.get("type") == "image"]
        return "".join(data for data, _, _ in images), sum(most for _, most, _ in images), 0
    if source.get("file_url") or source.get("type") == "url":
        raise not_priced("file_url" if source.get("file_url") else "source")
    data = data_of(source, "data", "file_data")
    return data, *document_tokens(source, data, model, room)


def document_tokens(source: Mapping[str, Any], data: str, model: AIModel, room: int) -> tuple[int, int]:
    """The most that a document can count as, and an ordinary count; InvalidRequest where neither can be told."""
    document = decoded(data)
    as_text = PAGE_TOKENS + len(data) if is_text(document) else 0
    if is_pdf(source, document):
        shown = model.image_tokens or most_tokens(model.provider.kind, 1_700, 2_200)
        pages = pages_of(document)
        of_text = max(pages * PAGE_TOKENS, text_size(document, room))
        most = pages * shown + of_text
        return max(most, as_text), most // 4
    if not as_text:
        raise InvalidRequest({"document": ["is neither PDF nor text, so what it costs can't be told. Save it as one."]})
    return as_text, len(data) // 4


def is_pdf(source: Mapping[str, Any], document: bytes) -> bool:
    """By what it is called and by itself: who is told of a text reads one, whatever it begins with."""
    address = str(source.get("file_data"))
    told = address[5:].partition(";")[0].lower() if address.startswith("data:") else source.get("media_type")
    is_called = told == "application/pdf" if told else str(source.get("filename") or ".pdf").lower().endswith(".pdf")
    return is_called and PDF in document[:HEADER_BYTES]


def is_text(document: bytes) -> bool:
    """What providers take as it is; they unpack sheets and office files, which may hold any amount."""
    try:
        return "\0" not in document.decode()
    except UnicodeDecodeError:
        return False


def source_of(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a block that carries its content. One carries it: a provider might read another than was measured."""
    places = [block, *(block[name] for name in PLACES if isinstance(block.get(name), Mapping))]
    carriers = [place for place in places for name in CARRIERS if place.get(name) and place[name] not in places]
    if len(carriers) > 1:
        raise InvalidRequest({str(block["type"]): ["holds its content twice."]})
    return carriers[0] if carriers else block


def data_of(source: Mapping[str, Any], *names: str) -> str:
    """The base64 text; empty where there is an address only."""
    value = next((source[name] for name in names if isinstance(source.get(name), str)), "")
    if value.startswith("data:"):
        return str(value.partition(",")[2])
    return "" if value.startswith(("http:", "https:")) else value


def detail_of(block: Mapping[str, Any]) -> Any:
    """How closely OpenAI is to look at an image: beside its address, or with it."""
    inner = block.get("image_url")
    return inner.get("detail") if isinstance(inner, Mapping) else block.get("detail")


def image_tokens(data: str, model: AIModel, *, is_original: bool) -> tuple[int, int]:
    width, height = (size_of(decoded(data[:400_000])) if data else None) or (LARGEST_SIDE, LARGEST_SIDE)
    most = model.image_tokens or most_tokens(model.provider.kind, width, height, is_original=is_original)
    return most, min(most, ordinary_tokens(width, height))


def decoded(data: str) -> bytes:
    try:
        return b64decode(data[: len(data) // 4 * 4])
    except ValueError:
        return b""
