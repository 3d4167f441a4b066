"""OpenAI's images endpoint, and all who speak its format at another address."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx2

from app.providers.base import ImagePrompt, ImageUsage
from app.providers.errors import failure
from app.providers.image_requests import Drawn, count_in, image_bytes
from app.providers.text_cleaning import encodable
from app.providers.usage import bounded, mapping

if TYPE_CHECKING:
    from app.providers.openai import OpenAIProvider

ALWAYS_BYTES = ("gpt-image", "chatgpt-image")
"""Models that answer with bytes, and refuse to be asked for them."""

UNNAMED = ("", "standard", "auto")


def ask_for_images(provider: "OpenAIProvider", prompt: ImagePrompt) -> Drawn:
    """Raises the package's errors."""
    options: Any = {"timeout": provider.patience.timeout(prompt)}
    wanted = {"size": prompt.size, "quality": prompt.quality}
    body: dict[str, Any] = {
        "model": prompt.model,
        "prompt": encodable(prompt.text),
        "n": prompt.max_output_tokens,
        **{name: value for name, value in wanted.items() if value not in UNNAMED},
    }
    if not prompt.model.startswith(ALWAYS_BYTES):
        body["response_format"] = "b64_json"
    response = provider.client.post("/images/generations", cast_to=httpx2.Response, body=body, options=options)
    return drawn_of(response.content, prompt.max_output_tokens)


def drawn_of(content: bytes, most: int) -> Drawn:
    """What the answer holds. An address is refused: nothing is fetched that a vendor names."""
    try:
        answer = mapping(json.loads(content))
    except ValueError:
        raise failure("malformed", "no JSON") from None
    sent = answer.get("data")
    items = [mapping(item) for item in sent] if isinstance(sent, list) else []
    images = tuple(image for item in items if (image := image_bytes(item.get("b64_json"))))[:most]
    usage = usage_of(mapping(answer.get("usage")), has_images=bool(images))
    if images:
        return Drawn(images, usage)
    has_address = any(item.get("url") for item in items)
    return Drawn(usage=usage, failure=failure("address" if has_address else "no_image"))


def usage_of(report: Mapping[str, Any], *, has_images: bool) -> ImageUsage:
    """The tokens that were reported. Without details what came out is images."""
    if not count_in(report, "input_tokens") and not count_in(report, "output_tokens"):
        return ImageUsage()
    told, made = mapping(report.get("input_tokens_details")), mapping(report.get("output_tokens_details"))
    given, output = count_in(report, "input_tokens"), count_in(report, "output_tokens")
    cached = min(count_in(told, "cached_tokens"), given)
    of_images = count_in(made, "image_tokens") if made else output * has_images
    return ImageUsage(
        uncached_input=given - cached,
        cache_read=cached,
        output=output,
        image_input=min(count_in(told, "image_tokens"), given - cached),
        image_output=min(of_images, output),
        source="reported",
        raw=bounded(report),
    )
