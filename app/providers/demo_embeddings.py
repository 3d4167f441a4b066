"""The offline demo embedder: texts that share words and parts of words get vectors that are close."""

import math
import re
from collections.abc import Iterator
from hashlib import blake2b

from app.providers.base import Reply, TokenUsage, WirePrompt, estimate_tokens

USUAL_DIMENSIONS, PART = 256, 3
WORD = re.compile(r"\w+")


class DemoEmbeddingsReply(Reply):
    """A Reply without text, whose one event is the whole answer; the same text gets the same vector."""

    def __init__(self, prompt: WirePrompt) -> None:
        super().__init__()
        self._prompt = prompt

    def __iter__(self) -> Iterator[str]:
        given, size = self._prompt.body["input"], self._prompt.body.get("dimensions") or USUAL_DIMENSIONS
        each = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
        data = [
            {"object": "embedding", "index": place, "embedding": vector_of(one, size)} for place, one in enumerate(each)
        ]
        tokens = sum(estimate_tokens(one) if isinstance(one, str) else len(one) for one in each)
        self.finish_reason = "stop"
        reported = {"prompt_tokens": tokens, "total_tokens": tokens}
        self.usage = TokenUsage(uncached_input=tokens, source="reported", raw=reported)
        if self.listener is not None:
            self.listener({"object": "list", "data": data, "usage": reported})
        yield from ()


def vector_of(text: str | list[int], size: int) -> list[float]:
    """Of length one: each feature adds to one place, up or down, as its hash says."""
    vector = [0.0] * size
    for feature in features(text):
        digest = int.from_bytes(blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest())
        vector[(digest >> 1) % size] += 1.0 if digest & 1 else -1.0
    length = math.sqrt(sum(number * number for number in vector))
    if not length:
        vector[0] = length = 1.0
    return [number / length for number in vector]


def features(text: str | list[int]) -> Iterator[str]:
    """Its words, and every three letters of them; of tokens the tokens."""
    if not isinstance(text, str):
        yield from map(str, text)
        return
    for word in WORD.findall(text.casefold()):
        yield word
        yield from (word[place : place + PART] for place in range(len(word) - PART + 1))
