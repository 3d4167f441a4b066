"""Google's image models by their own API: generateContent, one image a request."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx2

from app.providers.base import ImagePrompt, ImageReply, ImageUsage, Prompt, Reply
from app.providers.errors import failure
from app.providers.image_requests import Drawing, Drawn, count_in, image_bytes, requests_of
from app.providers.streamed_reply import VendorProvider
from app.providers.text_cleaning import encodable
from app.providers.transport import Client
from app.providers.usage import bounded, mapping

ADDRESS = "https://generativelanguage.googleapis.com"
VERSION = "/v1beta"
FILTERED = re.compile(r"SAFETY|PROHIBITED|BLOCKLIST|SPII|RECITATION")
PIXELS = re.compile(r"(\d{3,5})x(\d{3,5})")
RATIO = re.compile(r"(\d{1,2}:\d{1,2})")
RESOLUTION = re.compile(r"\b(512|[124]K)\b")
RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")


class GoogleError(Exception):
    """An answer that is no success."""

    def __init__(self, response: httpx2.Response, body: object) -> None:
        super().__init__(str(response.status_code))
        self.status_code, self.response, self.body = response.status_code, response, body


class GoogleProvider(VendorProvider):
    """One address that speaks generateContent, with one key."""

    def connect(self, base_url: str | None, api_key: str) -> None:
        address = (base_url or ADDRESS).rstrip("/")
        self.base_url = address if re.search(r"/v\d\w*$", address) else f"{address}{VERSION}"
        self.api_key, self.client = api_key, Client()

    def stream(self, prompt: Prompt) -> Reply:
        """Its models of words are reached by the format of OpenAI."""
        raise failure("gone", f"{prompt.model} makes images only")

    def draw(self, prompt: ImagePrompt) -> ImageReply:
        ask = partial(self._ask, prompt)
        return Drawing(requests_of(ask, prompt.max_output_tokens), (GoogleError,), self.patience)

    def _ask(self, prompt: ImagePrompt) -> Drawn:
        url = f"{self.base_url}/models/{quote(prompt.model, safe='')}:generateContent"
        headers = {"x-goog-api-key": self.api_key, "Content-Type": "application/json"}
        timeout = self.patience.timeout(prompt)
        content = json.dumps(body_of(prompt)).encode()
        request = self.client.build_request("POST", url, timeout=timeout, headers=headers, content=content)
        response = self.client.send(request)
        answer = json_of(response)
        if response.status_code != httpx2.codes.OK:
            raise GoogleError(response, answer)
        return drawn_of(mapping(answer))


def json_of(response: httpx2.Response) -> object:
    try:
        return json.loads(response.content)
    except ValueError:
        if response.status_code != httpx2.codes.OK:
            return None
        raise failure("malformed", "no JSON") from None


def body_of(prompt: ImagePrompt) -> dict[str, Any]:
    asked = {"role": "user", "parts": [{"text": encodable(prompt.text)}]}
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if shape := shape_of(prompt.size):
        config["imageConfig"] = shape
    return {"contents": [asked], "generationConfig": config}


def shape_of(size: str) -> dict[str, str]:
    """A size as Google names it: `1K`, `16:9 2K`, or pixels, which become the nearest of both."""
    if pixels := PIXELS.fullmatch(size):
        width, height = int(pixels[1]), int(pixels[2])
        thousands = next((k for k in (4, 2) if max(width, height) >= k * 1024), 1)
        return {"aspectRatio": ratio_of(width, height), "imageSize": f"{thousands}K"}
    ratio, resolution = RATIO.search(size), RESOLUTION.search(size)
    named = {"aspectRatio": ratio and ratio[1], "imageSize": resolution and resolution[1]}
    return {name: value for name, value in named.items() if value}


def ratio_of(width: int, height: int) -> str:
    """The nearest ratio that there is."""
    return min(RATIOS, key=lambda ratio: abs(width / height - fraction(ratio)))


def fraction(ratio: str) -> float:
    across, down = ratio.split(":")
    return int(across) / int(down)


def drawn_of(answer: Mapping[str, Any]) -> Drawn:
    """The first image of the answer, or why there is none. An address is refused: nothing is fetched."""
    candidates = answer.get("candidates")
    shown = [mapping(one) for one in candidates] if isinstance(candidates, list) else []
    parts = [part for one in shown for part in parts_of(one)]
    images = [image for part in parts if (image := image_bytes(inline(part).get("data")))]
    usage = usage_of(mapping(answer.get("usageMetadata")), has_images=bool(images))
    if images:
        return Drawn((images[0],), usage)
    return Drawn(usage=usage, failure=failure(*why_none(answer, shown, parts)))


def parts_of(candidate: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Its parts, but for what it thought: images of its thinking are no answer."""
    parts = mapping(candidate.get("content")).get("parts")
    for part in map(mapping, parts if isinstance(parts, list) else ()):
        if not part.get("thought"):
            yield part


def inline(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(part.get("inlineData") or part.get("inline_data"))


def why_none(answer: Mapping[str, Any], shown: list[Any], parts: list[Any]) -> tuple[str, str]:
    """A reason of `errors.failure`, and what Google called it."""
    blocked = mapping(answer.get("promptFeedback")).get("blockReason")
    reasons = [str(one.get("finishReason") or "")[:40] for one in shown]
    named = str(blocked)[:40] if blocked else next(filter(None, reasons), "")
    if blocked or FILTERED.search(named):
        return "filtered", named
    if any(part.get("fileData") or part.get("file_data") for part in parts):
        return "address", named
    return "no_image", named


def usage_of(report: Mapping[str, Any], *, has_images: bool) -> ImageUsage:
    """The tokens that were reported; thinking is output of text. Without details what came out is images."""
    given, thoughts = count_in(report, "promptTokenCount"), count_in(report, "thoughtsTokenCount")
    candidates = count_in(report, "candidatesTokenCount")
    if not given and not candidates and not thoughts:
        return ImageUsage()
    cached = min(count_in(report, "cachedContentTokenCount"), given)
    made = of_images(report, "candidatesTokensDetails")
    shown = of_images(report, "promptTokensDetails") or 0
    return ImageUsage(
        uncached_input=given - cached,
        cache_read=cached,
        output=candidates + thoughts,
        image_input=min(shown, given - cached),
        image_output=min(candidates * has_images if made is None else made, candidates),
        source="reported",
        raw=bounded(report),
    )


def of_images(report: Mapping[str, Any], name: str) -> int | None:
    """How many tokens of the details are images'; None where there are no details."""
    details = report.get(name)
    if not isinstance(details, list) or not details:
        return None
    rows = map(mapping, details)
    return sum(count_in(row, "tokenCount") for row in rows if row.get("modality") == "IMAGE")
