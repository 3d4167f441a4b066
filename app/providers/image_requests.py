"""Image requests to a vendor, one or several at once, and their combined result."""

import base64
import binascii
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2

from app.providers.base import ImageReply, ImageUsage, ProviderError
from app.providers.errors import explained, failure, retry_delay
from app.providers.streamed_reply import Patience
from app.providers.transport import Cut, Line, current_line

LONGEST_DRAWING = 600.0
"""Seconds for all of a call's images."""

LARGEST_IMAGE_BYTES = 40_000_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of one request: images, and the vendor's tokens. `failure` is why there are none, or fewer."""

    images: tuple[bytes, ...] = ()
    usage: ImageUsage = field(default_factory=ImageUsage)
    failure: ProviderError | None = None


Request = Callable[[], Drawn]


class Drawing(ImageReply):
    """An ImageReply made of these requests; `errors` are those that a request may raise."""

    def __init__(self, requests: Sequence[Request], errors: tuple[type[Exception], ...], patience: Patience) -> None:
        super().__init__()
        self._requests = [(request, Line()) for request in requests]
        self._errors: tuple[type[Exception], ...] = (httpx2.HTTPError, Cut, *errors)
        self._patience = patience

    def close(self) -> None:
        super().close()
        for _request, line in self._requests:
            line.cut()

    def __iter__(self) -> Iterator[str]:
        """Ask for all of them; ProviderError where not one image came."""
        drawn = self._all()
        self.images = tuple(image for one in drawn for image in one.images)
        self.usage = total_of([one.usage for one in drawn])
        if not self.images:
            raise next((one.failure for one in drawn if one.failure), None) or failure("no_image")
        self.finish_reason = "stop"
        yield from ()

    def _all(self) -> list[Drawn]:
        timer = threading.Timer(LONGEST_DRAWING, self.close)
        timer.daemon = True
        timer.start()
        try:
            with ThreadPoolExecutor(len(self._requests)) as threads:
                return list(threads.map(self._one, self._requests))
        finally:
            timer.cancel()

    def _one(self, asked: tuple[Request, Line]) -> Drawn:
        """One request, after a few tries if need be."""
        request, line = asked
        for tries_left in reversed(range(self._patience.retries + 1)):
            current_line.set(line)
            try:
                return request()
            except ProviderError as error:
                return Drawn(failure=error)
            except self._errors as error:
                wait = delay_after(error, self._patience)
                if wait is None or not tries_left or self._closed.is_set():
                    return Drawn(failure=explained(error, has_begun=False))
            if self._closed.wait(wait):
                break
        return Drawn(failure=failure("cut", "closed"))


def delay_after(error: Exception, patience: Patience) -> float | None:
    """Seconds before another try; None where the vendor may be at work on this one, and be paid for it."""
    cause = error.__cause__ or error
    if isinstance(cause, httpx2.TransportError) and not isinstance(cause, httpx2.ConnectError):
        return None
    return retry_delay(error, patience.retry_wait, patience.longest_retry_wait)


def total_of(usages: Sequence[ImageUsage]) -> ImageUsage:
    """The sum of what was reported; what was not reported is not known."""
    told = [usage for usage in usages if usage.source == "reported"]
    if len(told) <= 1:
        return told[0] if told else ImageUsage()
    names = "uncached_input", "cache_read", "output", "image_input", "image_output"
    sums = {name: sum(getattr(usage, name) for usage in told) for name in names}
    return ImageUsage(**sums, source="reported", raw={"requests": [dict(usage.raw) for usage in told]})


def image_bytes(encoded: object) -> bytes | None:
    """The bytes of an image in base64; None where they are none."""
    if not isinstance(encoded, str) or len(encoded) > LARGEST_IMAGE_BYTES * 4 // 3 + 4:
        return None
    try:
        return base64.b64decode(encoded, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def count_in(report: Mapping[str, Any], name: str) -> int:
    """A count of tokens that a vendor reports; 0 for whatever is none."""
    value = report.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def requests_of(ask: Callable[[], Drawn], count: int) -> list[Request]:
    """The same request so many times."""
    return [partial(ask) for _ in range(count)]
