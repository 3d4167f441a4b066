"""The offline painter: a picture of its own for each prompt, drawn by Pillow, and every failure on command."""

import random
import re
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageOps

from app.providers.base import ImagePrompt, ImageReply, ImageUsage, estimate_tokens
from app.providers.demo_script import COMMAND
from app.providers.errors import failure

PIXELS = re.compile(r"(\d{2,4})x(\d{2,4})")
FAILURES = {
    "filter": "filtered",
    "fail": "unavailable",
    "cut": "cut",
    "address": "address",
    "none": "no_image",
}
TOKENS_A_PIXEL = 1120 / 1024**2
SECONDS_AN_IMAGE = 0.8


class DemoDrawing(ImageReply):
    """An ImageReply; the same prompt gets the same pictures."""

    def __init__(self, prompt: ImagePrompt, pace: float = 1.0) -> None:
        super().__init__()
        self._prompt = prompt
        self._pace = pace

    def __iter__(self) -> Iterator[str]:
        said, count = COMMAND.match(self._prompt.text), self._prompt.max_output_tokens
        command = said[1].lower() if said else ""
        if self._closed.wait(self._pace * SECONDS_AN_IMAGE):
            raise failure("cut", "closed")
        if command in FAILURES:
            raise failure(FAILURES[command], "demo")
        made = max(1, count // 2) if command == "partial" else count
        size = pixels_of(self._prompt.size)
        self.images = tuple(painted(f"{self._prompt.text}#{number}", size) for number in range(made))
        self.usage = self._reported(made * round(size[0] * size[1] * TOKENS_A_PIXEL))
        self.finish_reason = "stop"
        yield from ()

    def _reported(self, output: int) -> ImageUsage:
        given = estimate_tokens(self._prompt.text)
        raw = {"input_tokens": given, "output_tokens": output}
        return ImageUsage(uncached_input=given, output=output, image_output=output, source="reported", raw=raw)


def pixels_of(size: str) -> tuple[int, int]:
    named = PIXELS.fullmatch(size)
    return (int(named[1]), int(named[2])) if named else (1024, 1024)


def painted(seed: str, size: tuple[int, int]) -> bytes:
    """Two colours of the seed's own, one running into the other around a light; as PNG."""
    dice = random.Random(zlib.crc32(seed.encode("utf-8", "replace")))  # noqa: S311 - paint, no secret
    hue, left, top = dice.randrange(360), dice.randrange(256), dice.randrange(256)
    around = Image.radial_gradient("L").resize((512, 512)).crop((left, top, left + 256, top + 256))
    colours = f"hsv({hue}, 35%, 98%)", f"hsv({(hue + 70) % 360}, 70%, 35%)"
    kept = BytesIO()
    ImageOps.colorize(around, *colours).resize(size, Image.Resampling.BICUBIC).save(kept, "PNG")
    return kept.getvalue()
