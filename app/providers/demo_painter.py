"""The offline painter: a picture of its own for each prompt, drawn by Pillow, and every failure on command."""

import random
import re
import threading
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageDraw, ImageFilter

from app.providers.base import Evidence, ImagePrompt, ImageUsage, Listener, estimate_tokens
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
DRAWN_AT = 4
"""How many times smaller than asked it is drawn, before it is scaled up: brushes are soft."""

TOKENS_A_PIXEL = 1120 / 1024**2
SECONDS_AN_IMAGE = 0.8


class DemoDrawing:
    """An ImageReply; the same prompt gets the same pictures."""

    def __init__(self, prompt: ImagePrompt, pace: float = 1.0) -> None:
        self.usage = ImageUsage()
        self.images: tuple[bytes, ...] = ()
        self.finish_reason: str | None = None
        self.evidence = Evidence()
        self.listener: Listener | None = None
        self._prompt = prompt
        self._pace = pace
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()

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
    """A landscape: a sky, a sun or a moon, ranges of hills; as PNG."""
    dice = random.Random(zlib.crc32(seed.encode("utf-8", "replace")))  # noqa: S311 - paint, no secret
    width, height = (max(16, side // DRAWN_AT) for side in size)
    hue = dice.randrange(360)
    image = sky(width, height, hue)
    draw = ImageDraw.Draw(image)
    sun(draw, dice, width, height)
    for layer in range(4):
        hills(draw, dice, (width, height), layer, hue)
    soft = image.filter(ImageFilter.GaussianBlur(0.6)).resize(size, Image.Resampling.BICUBIC)
    kept = BytesIO()
    soft.save(kept, "PNG")
    return kept.getvalue()


def sky(width: int, height: int, hue: int) -> Image.Image:
    column = Image.new("HSV", (1, height))
    for row in range(height):
        share = row / height
        column.putpixel((0, row), (int(hue * 255 / 360), int(150 - 110 * share), int(150 + 100 * share)))
    return column.resize((width, height)).convert("RGB")


def sun(draw: ImageDraw.ImageDraw, dice: random.Random, width: int, height: int) -> None:
    radius, x, y = height // 11, dice.randrange(width), dice.randrange(height // 8, height // 2)
    for halo in range(6, 0, -1):
        glow = 255 - halo * 6
        around = radius + halo * radius // 6
        draw.ellipse((x - around, y - around, x + around, y + around), fill=(glow, glow - 8, glow - 40))


def hills(draw: ImageDraw.ImageDraw, dice: random.Random, size: tuple[int, int], layer: int, hue: int) -> None:
    """One range: the nearer, the darker."""
    width, height = size
    points, y = [(0, height)], height * (45 + layer * 13) // 100
    for x in range(0, width + width // 12, max(1, width // 12)):
        y += dice.randrange(-height // 20 - 1, height // 20 + 2)
        points.append((x, y))
    color = f"hsv({(hue + 20 * layer) % 360}, {40 + 10 * layer}%, {70 - 15 * layer}%)"
    draw.polygon([*points, (width + width // 12, height)], fill=color)
