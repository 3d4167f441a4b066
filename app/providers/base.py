"""What every model provider takes and gives: a prompt in, text and token usage out."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol
from unicodedata import normalize

from app.providers import token_count
from app.providers.image_tokens import PromptImage

estimate_tokens = token_count.estimate_tokens

TOKENS_PER_MESSAGE = 16
"""Room for the role markers and separators that a vocabulary adds around each message."""


@dataclass(frozen=True)
class PromptMessage:
    """One message of a prompt; `role` is system, user or assistant."""

    role: str
    content: str
    images: tuple[PromptImage, ...] = ()

    @cached_property
    def token_bound(self) -> int:
        """More tokens than any current vocabulary makes of this message: its UTF-8 bytes, its images, an overhead.

        Some vocabularies normalise first, which may make a text longer: the longest of the three forms counts.
        """
        shown = sum(image.token_bound for image in self.images)
        return longest_form(self.content) + shown + TOKENS_PER_MESSAGE

    @cached_property
    def likely_tokens(self) -> int:
        """What it counts as with a margin: for what fits into a window, where the vendor has the last word."""
        counted = self.tokens * 5 // 4 + TOKENS_PER_MESSAGE
        return min(counted, self.token_bound)

    @cached_property
    def tokens(self) -> int:
        """Counted locally, where nothing was reported."""
        return estimate_tokens(self.content) + sum(image.tokens for image in self.images)


@dataclass(frozen=True)
class Prompt:
    """What is sent to a provider; the reservation is computed from this same object.

    `left_out` is how many earlier messages no longer fit; `limit_name` that of the output's limit, where it is known.
    `shortened_from` is the output that was asked for where less is afforded. `wants_cache`: it is likely to
    be sent again soon with more behind it, so a provider that caches only what is marked is to cache it.
    """

    model: str
    messages: tuple[PromptMessage, ...]
    max_output_tokens: int
    is_reasoning: bool = False
    extra_input_tokens: int = 0
    left_out: int = 0
    limit_name: str | None = None
    shortened_from: int | None = None
    wants_cache: bool = False
    is_whole: ClassVar[bool] = False
    """Whether less than was asked for is worth nothing."""

    @property
    def is_embedding(self) -> bool:
        """Whether vectors are asked for, and no text."""
        return False

    @cached_property
    def input_token_bound(self) -> int:
        """An upper bound of the input tokens of the whole prompt, with what the host adds to it."""
        own = sum(message.token_bound for message in self.messages) + TOKENS_PER_MESSAGE
        return own + self.extra_input_tokens

    @cached_property
    def tokens(self) -> int:
        """The input, counted locally."""
        images = sum(image.tokens for message in self.messages for image in message.images)
        return images + sum(estimate_tokens(message.content, self.model) for message in self.messages)

    def earlier_bps(self, tokens: int) -> int:
        """Which share of its `tokens` was said before the last message, in basis points; instructions are not."""
        told = tuple(message for message in self.messages[:-1] if message.role == "system")
        if len(told) >= len(self.messages) - 1:
            return 0
        fresh = replace(self, messages=(*told, *self.messages[-1:])).tokens
        return max(0, tokens - fresh) * 10_000 // max(1, tokens)


@dataclass(frozen=True, slots=True)
class WirePrompt(Prompt):
    """A request in a vendor's own format: sent as it is, but for the model's name, its limit, and how it is streamed.

    `dialect` is the format: chat, responses, messages or embeddings. `bound` is an upper bound of its input tokens,
    `counted` what they are by our own count. `headers` go along. `for_model` makes the same request for another model,
    where it may be told one.
    """

    dialect: str = "chat"
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    bound: int = 0
    counted: int = 0
    for_model: "Callable[[Any], WirePrompt] | None" = None
    instead: "WirePrompt | None" = None
    """The same request in the other of OpenAI's formats: as a chat completion, for who does not speak responses, or as
    responses, for OpenAI itself."""

    @property
    def is_embedding(self) -> bool:
        return self.dialect == "embeddings"

    @property
    def input_token_bound(self) -> int:
        return self.bound + self.extra_input_tokens

    @property
    def tokens(self) -> int:
        return self.counted


@dataclass(frozen=True, slots=True)
class AmountPrompt(Prompt):
    """Nothing that is sent, and no model: `max_output_tokens` nano-dollars are held for what runs elsewhere."""

    is_whole = True


@dataclass(frozen=True, slots=True)
class ImagePrompt(Prompt):
    """What images are asked for: `max_output_tokens` is how many. Stop never breaks it off: it is paid as delivered."""

    is_whole = True
    quality: str = ""
    size: str = ""

    @classmethod
    def of(cls, model: str, text: str, *, quality: str, size: str, count: int) -> "ImagePrompt":
        said = (PromptMessage("user", text),)
        return cls(model, said, count, is_reasoning=True, quality=quality, size=size)

    @property
    def text(self) -> str:
        return self.messages[0].content


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """How a provider is to be asked, where its address does not say: see `ProviderAccount`."""

    service_tier: str | None = None
    limit_name: str | None = None
    reports_running: bool = False


PLAIN = ProviderOptions()


TOKEN_BUCKETS = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
PIECES = ("images", "searches")


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Usage of one call in disjoint buckets, each >= 0, in tokens (images and searches in pieces).

    `source` is "reported" by the provider, "estimated" by us, or "none" where nothing is known.
    `raw` is what the provider sent, kept for the receipt.
    """

    uncached_input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    images: int = 0
    searches: int = 0
    source: str = "none"
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_tokens(self) -> int:
        return self.uncached_input + self.cache_read + self.cache_write_5m + self.cache_write_1h


@dataclass(frozen=True, slots=True)
class ImageUsage(TokenUsage):
    """Usage of a call that makes images: so many of its uncached input and of its output are tokens of images."""

    image_input: int = 0
    image_output: int = 0

    @property
    def of_text(self) -> TokenUsage:
        """What is left beside the images' own."""
        fresh, output = self.uncached_input - self.image_input, self.output - self.image_output
        return TokenUsage(fresh, self.cache_read, self.cache_write_5m, self.cache_write_1h, output)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a provider says of a call beside its tokens; None where it says nothing.

    `model` is the one that answered, `cost_nanos` what it says that it billed, `unpriced` the number of pieces that
    it bills and that no bucket counts, `thinking_tokens` a local count of the thinking that it streamed.
    """

    model: str | None = None
    service_tier: str | None = None
    cost_nanos: int | None = None
    unpriced: int = 0
    thinking_tokens: int = 0


class ProviderError(Exception):
    """A call that failed at the provider. `str(error)` is safe to show to the user; nothing was charged.

    `reason` is one of: timeout, unavailable, rate_limited, rejected, credentials, malformed, cut.
    `technical` is for the log: the kind of error, status and request id; no key and nothing of the prompt.
    `is_of_sender`: the request itself caused it, so that the same one would fail again; `field` is what the provider
    says that it is about, `case` which of the rejections it is.
    """

    field: str | None = None
    case: str | None = None

    def __init__(self, reason: str, text: str, technical: str = "", *, is_of_sender: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.technical = technical
        self.is_of_sender = is_of_sender


Listener = Callable[[dict[str, Any]], None]


class Reply:
    """A running answer. Iterate for text; afterwards, or after an error, `usage` says what is known of its tokens.

    Iterating raises ProviderError where the provider fails, hangs past its time, or cuts the stream off.
    A stream that finished has `finish_reason` (stop, length, filter, refusal, ...); None until then.
    """

    usage: TokenUsage = TokenUsage()
    finish_reason: str | None = None
    evidence = Evidence()
    listener: Listener | None = None
    """Is given each event of the vendor, as it came, before its text is."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[str]:
        yield from ()

    def close(self) -> None:
        """Break off the answer; callable from any thread, any number of times; a blocked iteration ends at once."""
        self._closed.set()


class ImageReply(Reply):
    """A Reply that makes images: iterating asks for them and gives no text."""

    usage: ImageUsage = ImageUsage()
    images: tuple[bytes, ...] = ()


class ImageProvider(Protocol):
    """A vendor's API that makes images."""

    def draw(self, prompt: ImagePrompt) -> ImageReply:
        """Ask for images. The connection may be made here or at the first iteration."""


class Provider(Protocol):
    """One vendor's API at one address with one key."""

    def stream(self, prompt: Prompt) -> Reply:
        """Start an answer. The connection may be made here or at the first iteration."""


def is_above_limit(output: int, most: int) -> bool:
    """Whether clearly more came than was asked for; servers differ by a token or two."""
    return output > most + max(2, most // 20)


def longest_form(text: str) -> int:
    """The bytes of the text in UTF-8: as it is, in NFC or in NFKC, whichever is longest."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if text.isascii():
        return size
    forms = (normalize("NFC", text), normalize("NFKC", text))
    return max(size, *(len(form.encode("utf-8", "surrogatepass")) for form in forms))
