"""Asking a provider in tests, and what came of it."""

from dataclasses import dataclass
from functools import partial

from app.providers import streamed_reply
from app.providers.base import Prompt, PromptMessage, ProviderError, Reply, TokenUsage
from app.providers.streamed_reply import Patience

PATIENT = Patience(connect=0.5, gap=20.0, reasoning_gap=20.0, retry_wait=0.01, longest_retry_wait=0.2)
HASTY = Patience(connect=0.3, gap=0.6, reasoning_gap=20.0, after_finish=0.4, retry_wait=0.01, longest_retry_wait=0.2)


def try_again_soon() -> None:
    """From now on a provider that refuses is asked again at once, where nothing else is said: not in half a second."""
    streamed_reply.Patience = partial(Patience, retry_wait=0.01)  # type: ignore[misc, assignment]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a reply told: its text, its end, its usage, and the error that broke it."""

    text: str
    finish_reason: str | None
    usage: TokenUsage
    error: ProviderError | None

    @property
    def reason(self) -> str | None:
        return self.error.reason if self.error else None


def outcome_of(reply: Reply) -> Outcome:
    """Read a reply to its end, good or bad."""
    pieces: list[str] = []
    error = None
    try:
        pieces.extend(reply)
    except ProviderError as raised:
        error = raised
    return Outcome("".join(pieces), reply.finish_reason, reply.usage, error)


def asking(text: str, *, model: str = "m", most: int = 4096, is_reasoning: bool = False) -> Prompt:
    """A prompt of one message."""
    return Prompt(model, (PromptMessage("user", text),), most, is_reasoning)
