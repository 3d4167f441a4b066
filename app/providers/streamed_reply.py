"""A reply read from a vendor's event stream: what all vendors have in common."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import httpx2

from app.providers.base import (
    PLAIN,
    Evidence,
    Prompt,
    ProviderError,
    ProviderOptions,
    Reply,
    TokenUsage,
    estimate_tokens,
)
from app.providers.errors import explained, failure, retry_delay
from app.providers.sse import events
from app.providers.text_cleaning import Text
from app.providers.transport import Cut, Line, current_line

CHARACTERS_PER_TOKEN = 512
SLACK_CHARACTERS = 8_000
MOST_LATE = 10
"""Events that are read behind the end for a report."""
PACE, FLOWING, UNPACED = 0.02, 0.05, 10
"""Seconds from one read to the next, once text flows: what comes meanwhile is one piece, and no eye sees it sooner.
It flows where the last came within `FLOWING`. The first reads are as quick as they come: a short answer waits for
nothing."""

UNREAD = {"X-Stainless-Raw-Response": "stream"}
"""Asks either SDK for the response before its body is read, as its `with_streaming_response` does."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a provider, in seconds, and how often to try before the first byte.

    `gap` is the longest silence; reasoning models are silent while they think. Once the finish reason is known,
    `after_finish` is the longest silence before the usage, `late` where the vendor has said that nothing more will
    come, and `end` before the connection's last bytes.
    """

    connect: float = 10.0
    gap: float = 60.0
    reasoning_gap: float = 300.0
    total: float = 3600.0
    after_finish: float = 10.0
    late: float = 1.0
    end: float = 0.1
    retries: int = 2
    retry_wait: float = 0.5
    longest_retry_wait: float = 5.0

    def timeout(self, prompt: Prompt) -> httpx2.Timeout:
        return httpx2.Timeout(self.reasoning_gap if prompt.is_reasoning else self.gap, connect=self.connect)


class VendorProvider:
    """A vendor's API at one address, with one key."""

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        patience: Patience | None = None,
        options: ProviderOptions = PLAIN,
    ) -> None:
        self.patience, self.options = patience or Patience(), options
        self.connect(base_url, api_key or "none")

    def connect(self, base_url: str | None, api_key: str) -> None:
        """Make the client, without asking anything yet; the vendor's own address where none is named."""
        raise NotImplementedError


class Reader(Protocol):
    """One call to one vendor: how its stream is asked for, and what its events mean."""

    finish_reason: str | None = None
    is_over: bool = False
    """The vendor has said that nothing more will come."""
    failure: ProviderError | None = None
    """What the last event said that went wrong."""
    has_final_usage: bool = False
    """The figures are those of the whole call, though it may have failed."""
    lacks_usage: bool = False
    """It is over and nothing was reported: some report behind the end (`read_late`)."""
    thinking: str = ""
    """The thinking that was streamed beside the text."""
    errors: tuple[type[Exception], ...]
    """What the vendor's package raises."""

    def open(self) -> httpx2.Response:
        """Ask for the stream; raises the vendor's errors."""

    def hear(self, response: httpx2.Response) -> None:
        """Take in what the headers say."""

    def read(self, event: dict[str, Any]) -> str:
        """Take an event in and return its text; afterwards `failure` says whether it was an error."""

    def read_late(self, event: dict[str, Any]) -> None:
        """Take in what is reported of an answer that is over: its text is nobody's."""
        self.read(event)

    def usage(self) -> TokenUsage:
        """What was reported until now."""

    def evidence(self) -> Evidence:
        """What was reported beside the tokens."""


class StreamedReply(Reply):
    """A Reply that connects at its first iteration."""

    def __init__(self, prompt: Prompt, reader: Reader, patience: Patience, *, reports_running: bool = False) -> None:
        super().__init__()
        self._reader = reader
        self._breakages: tuple[type[Exception], ...] = (httpx2.HTTPError, Cut, *reader.errors)
        self._patience = patience
        self._reports_running = reports_running
        self._line = Line()
        self._text = Text(prompt.max_output_tokens * CHARACTERS_PER_TOKEN + SLACK_CHARACTERS)

    def close(self) -> None:
        super().close()
        self._line.cut()

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._read()
        except ProviderError:
            if not self._is_over:
                raise
        except self._breakages as error:
            if not self._is_over:
                raise explained(error, has_begun=self._text.size > 0) from None
        finally:
            self._keep_usage()

    @property
    def _is_over(self) -> bool:
        """Closed by us, or finished by the provider: whatever breaks then is no failure."""
        return self._closed.is_set() or self._reader.finish_reason is not None

    def _read(self) -> Iterator[str]:
        response = self._opened()
        self._reader.hear(response)
        pieces = self._pieces(response)
        heard = events(pieces)
        try:
            yield from self._texts(heard)
            self._end(pieces, heard)
        finally:
            response.close()

    def _texts(self, heard: Iterator[dict[str, Any] | None]) -> Iterator[str]:
        """The first text by itself, then all that is there together."""
        reader, text = self._reader, ""
        try:
            for event in heard:
                if event is not None:
                    text += self._text.add(reader.read(event))
                    if self.listener is not None and not reader.failure:
                        self.listener(event)
                if reader.failure:
                    raise reader.failure
                is_over = reader.is_over or self._closed.is_set()
                if is_over or event is None or self._text.size == len(text):
                    if text or self.listener:
                        yield text
                    text = ""
                if is_over:
                    return
        except ProviderError:
            if text:
                yield text
            raise

    def _opened(self) -> httpx2.Response:
        """The vendor's response, after a few tries if need be."""
        for tries_left in reversed(range(self._patience.retries + 1)):
            token = current_line.set(self._line)
            try:
                return self._reader.open()
            except self._reader.errors as error:
                wait = retry_delay(error, self._patience.retry_wait, self._patience.longest_retry_wait)
                if wait is None or not tries_left or self._closed.is_set():
                    raise
            finally:
                current_line.reset(token)
            if self._closed.wait(wait):
                break
        raise Cut

    def _pieces(self, response: httpx2.Response) -> Iterator[bytes]:
        """The bytes as they come, while there is time."""
        deadline = time.monotonic() + self._patience.total
        has_finished, came_at = False, 0.0
        is_encoded = "content-encoding" in response.headers
        source: Any = response.iter_bytes() if is_encoded else response.stream
        for number, piece in enumerate(source):
            before, came_at = came_at, time.monotonic()
            if came_at > deadline:
                raise failure("timeout", "total time")
            yield piece
            if number > UNPACED and came_at - before < FLOWING:
                self._pause_until(came_at + PACE)
            if self._reader.finish_reason is not None and not has_finished:
                has_finished = True
                if not self._reader.is_over:
                    self._line.limit_wait(self._patience.after_finish)

    def _pause_until(self, moment: float) -> None:
        """Let more come, where the next read takes it all, text came before, and the end is not here."""
        if self._text.size and not self._is_over and self._line.takes_all:
            time.sleep(max(0, moment - time.monotonic()))

    def _end(self, pieces: Iterator[bytes], heard: Iterator[dict[str, Any] | None]) -> None:
        """Read what may be left of the response: a late report, and the end, so that its connection serves again."""
        reader = self._reader
        if reader.is_over and not self._closed.is_set():
            self._line.limit_wait(self._patience.late if reader.lacks_usage else self._patience.end)
            with contextlib.suppress(httpx2.HTTPError, ProviderError):
                for event in islice(filter(None, heard), MOST_LATE) if reader.lacks_usage else ():
                    reader.read_late(event)
                next(pieces, None)
        if not self._is_over:
            raise failure("cut", "end without finish reason")

    def _keep_usage(self) -> None:
        """Figures that come before the end are not usage yet.

        Where the server counts with each piece, what it has counted until Stop is.
        """
        reader = self._reader
        self.finish_reason = reader.finish_reason
        self.evidence = replace(reader.evidence(), thinking_tokens=estimate_tokens(reader.thinking))
        has_failed = reader.failure is not None and reader.has_final_usage
        has_figures = self._closed.is_set() and self._reports_running
        if self.finish_reason is None and not has_failed and not has_figures:
            return
        self.usage = reader.usage()
