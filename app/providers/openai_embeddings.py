"""OpenAI's embeddings, and all who speak that format: one whole answer, which is checked before it is passed on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import jiter

from app.providers.base import Evidence, Prompt, TokenUsage, WirePrompt
from app.providers.errors import failure
from app.providers.reports import evidence
from app.providers.streamed_reply import Reader, StreamedReply
from app.providers.usage import bounded, mapping, openai_usage
from app.providers.vectors import is_vector

LARGEST_ANSWER = 64_000_000


Post = Callable[[Prompt, str, dict[str, Any]], httpx2.Response]


class EmbeddingsReader(Reader):
    """One call."""

    def __init__(self, post: Post, prompt: WirePrompt, errors: tuple[type[Exception], ...]) -> None:
        self.errors = errors
        self._post = post
        self._prompt = prompt
        self._answer: dict[str, Any] = {}

    def open(self) -> httpx2.Response:
        return self._post(self._prompt, "/embeddings", {**self._prompt.body, "model": self._prompt.model})

    def hear(self, response: httpx2.Response) -> None:
        pass

    def read(self, event: dict[str, Any]) -> str:
        """The whole answer: a vector for each input."""
        vectors = [mapping(item).get("embedding") for item in event.get("data") or () if item]
        if len(vectors) != count_of(self._prompt.body["input"]) or not all(map(is_vector, vectors)):
            self.failure = failure("malformed", "embeddings")
            return ""
        self._answer, self.finish_reason, self.is_over = event, "stop", True
        return ""

    def usage(self) -> TokenUsage:
        """Some (Voyage) tell of the total alone: it is all input."""
        told = mapping(self._answer.get("usage"))
        usage = openai_usage({"prompt_tokens": told.get("total_tokens"), **told})
        return replace(usage, raw=bounded(told))

    def evidence(self) -> Evidence:
        raw = mapping(self._answer.get("usage"))
        return evidence(raw, model=self._answer.get("model"), tier=None)


class EmbeddingsReply(StreamedReply):
    """A Reply without text, whose one event is the whole answer."""

    def _read(self) -> Iterator[str]:
        response = self._opened()
        try:
            answer = whole_object(self._pieces(response))
        finally:
            response.close()
        self._reader.read(answer)
        if self._reader.failure:
            raise self._reader.failure
        if self.listener is not None:
            self.listener(answer)
        yield from ()


def whole_object(pieces: Iterator[bytes]) -> dict[str, Any]:
    """The JSON object that these bytes are. ProviderError `malformed` where they are none, or too many."""
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > LARGEST_ANSWER:
            raise failure("malformed", "embeddings")
    try:
        answer = jiter.from_json(bytes(whole), allow_inf_nan=False)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise failure("malformed", "embeddings")
    return answer


def count_of(given: object) -> int:
    """How many inputs: a text, its tokens, or a list of either."""
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return len(given)
    return 1
