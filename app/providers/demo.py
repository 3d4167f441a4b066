"""The offline demo models: answers about Tollgate itself, at a natural pace, and every failure on command."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.providers.base import (
    ImagePrompt,
    ImageReply,
    Prompt,
    PromptMessage,
    Reply,
    TokenUsage,
    WirePrompt,
    estimate_tokens,
)
from app.providers.demo_embeddings import DemoEmbeddingsReply
from app.providers.demo_painter import DemoDrawing
from app.providers.demo_script import Scene, scene_for
from app.providers.errors import failure

PIECE = re.compile(r"\s*\S{1,7}|\s+\Z")
MESSAGE_TOKENS = 4
FEWEST_CACHED = 32
NATURAL_PACE = 0.02


@dataclass(frozen=True, slots=True)
class DemoModel:
    """How a demo model speaks: its share of the usual pause between two pieces, and tokens of thinking before."""

    pause: float
    thinking: int = 0


MODELS = {
    "demo-fast": DemoModel(pause=0.4),
    "demo-smart": DemoModel(pause=1.0),
    "demo-reasoning": DemoModel(pause=1.0, thinking=120),
}


class DemoProvider:
    """Models that need no key and no network; `pace` is the pause between two pieces, in seconds."""

    def __init__(self, *, pace: float = NATURAL_PACE, patience: float = 60.0) -> None:
        self._pace = pace
        self._patience = patience

    def stream(self, prompt: Prompt) -> Reply:
        if isinstance(prompt, WirePrompt) and prompt.is_embedding:
            return DemoEmbeddingsReply(prompt)
        model = MODELS.get(prompt.model, MODELS["demo-smart"])
        scene = scene_for(prompt)
        if model.thinking and not scene.thinking:
            scene = replace(scene, thinking=model.thinking)
        return DemoReply(prompt, scene, self._pace * model.pause, self._patience)

    def draw(self, prompt: ImagePrompt) -> ImageReply:
        return DemoDrawing(prompt, self._pace / NATURAL_PACE)


class DemoReply(Reply):
    """A Reply that was written beforehand; the same prompt gets the same answer."""

    def __init__(self, prompt: Prompt, scene: Scene, pace: float, patience: float) -> None:
        super().__init__()
        self._prompt = prompt
        self._scene = scene
        self._pace = pace * scene.slowness
        self._patience = patience

    def __iter__(self) -> Iterator[str]:
        scene = self._scene
        thinking = min(scene.thinking, self._prompt.max_output_tokens // 2)
        text = shortened(scene.text, self._prompt.max_output_tokens - thinking)
        if self._closed.wait(thinking * self._pace):
            return
        for piece in PIECE.findall(text):
            yield piece
            if self._closed.wait(self._pace):
                return
        if scene.is_hanging and self._closed.wait(self._patience):
            return
        if scene.failure:
            raise failure(scene.failure, "demo")
        self.finish_reason = scene.finish if text == scene.text else "length"
        self.usage = self._reported(estimate_tokens(text) + thinking, thinking)

    def _reported(self, output: int, thinking: int) -> TokenUsage:
        """All but the last question and answer was read before, so a real provider would have it in its cache."""
        if not self._scene.reports_usage:
            return TokenUsage()
        messages = self._prompt.messages
        cached = tokens_of(messages[:-2])
        cached = cached if cached >= FEWEST_CACHED else 0
        fresh = tokens_of(messages) - cached
        raw = {
            "input_tokens": fresh,
            "cached_tokens": cached,
            "output_tokens": output,
            "reasoning_tokens": thinking,
        }
        return TokenUsage(uncached_input=fresh, cache_read=cached, output=output, source="reported", raw=raw)


def tokens_of(messages: tuple[PromptMessage, ...]) -> int:
    return sum(message.tokens + MESSAGE_TOKENS for message in messages)


def shortened(text: str, most_tokens: int) -> str:
    """The beginning of the text that is within that many tokens."""
    while estimate_tokens(text) > most_tokens:
        text = text[: min(len(text) * 19 // 20, most_tokens * 4)]
    return text
