"""What one model costs, and the arithmetic of it. Pure. billing-rules.md 3."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.models.metering.refusal import PricingError
from app.providers.base import PIECES, TOKEN_BUCKETS, ImageUsage, TokenUsage

INPUT_BUCKETS = TOKEN_BUCKETS[:-1]


@dataclass(frozen=True, slots=True)
class Rates:
    """What one model costs: nano-dollars per million tokens of each bucket, and per image and search.

    `long_context_above` is the number of input tokens past which `long` re-prices the whole call.
    """

    tokens: dict[str, int]
    long: dict[str, int]
    long_context_above: int | None
    pieces: dict[str, int | None]

    def cost_of(self, usage: TokenUsage) -> int:
        """The cost in nanos, rounded once, half up. PricingError where a piece was used that has no price."""
        pieces = sum(self._piece(piece, getattr(usage, piece)) for piece in PIECES)
        return half_up(self.millionths_of(usage)) + pieces

    def millionths_of(self, usage: TokenUsage) -> int:
        """What the tokens cost, in millionths of a nano."""
        per_million = self._tier(usage.input_tokens)
        return sum(getattr(usage, bucket) * per_million[bucket] for bucket in TOKEN_BUCKETS)

    def provider_cost_of(self, _usage: TokenUsage) -> int | None:
        """None: what a call costs us is what it is charged by."""
        return None

    @staticmethod
    def is_delivered(usage: TokenUsage) -> bool:
        """Whether there is an answer to be paid for."""
        return usage.output > 0

    def prices_for(self, input_tokens: int) -> dict[str, int | None]:
        """The price of each bucket and piece, in a call with so many input tokens."""
        return {**self._tier(input_tokens), **self.pieces}

    def most_for(self, input_tokens: int, output_tokens: int) -> int:
        """The most that a call with at most these tokens can cost, in nanos, rounded up."""
        return -(-self._most_millionths(input_tokens, output_tokens) // 1_000_000)

    def output_tokens_for(self, nanos: int, input_tokens: int) -> int:
        """How many output tokens `nanos` affords after the input; negative where not even the input."""
        left = nanos * 1_000_000 - self._most_millionths(input_tokens, 0)
        return left // max(1, self._dearest(("output",), input_tokens))

    def input_tokens_of(self, nanos: int, output_tokens: int) -> int | None:
        """The input whose `most_for` with that output is so many nanos: what a reservation was made for.

        None where there is none: it was made at other rates.
        """
        for above in (False, True):
            first = (self.long_context_above or 0) + 1 if above else 0
            rest = nanos * 1_000_000 - output_tokens * self._dearest(("output",), first)
            tokens = max(0, rest) // max(1, self._dearest(INPUT_BUCKETS, first))
            if self.most_for(tokens, output_tokens) == nanos:
                return tokens
        return None

    def _most_millionths(self, input_tokens: int, output_tokens: int) -> int:
        dearest_input = self._dearest(INPUT_BUCKETS, input_tokens)
        dearest_output = self._dearest(("output",), input_tokens)
        return input_tokens * dearest_input + output_tokens * dearest_output

    def _dearest(self, buckets: Iterable[str], input_tokens: int) -> int:
        tiers = (self.tokens, self._tier(input_tokens))
        return max(tier[bucket] for tier in tiers for bucket in buckets)

    def _tier(self, input_tokens: int) -> dict[str, int]:
        is_long = self.long_context_above is not None and input_tokens > self.long_context_above
        return self.long if is_long else self.tokens

    def _piece(self, piece: str, count: int) -> int:
        price = self.pieces[piece]
        if count and price is None:
            raise PricingError(f"{count} {piece} were used, which have no price")
        return count * (price or 0)


@dataclass(frozen=True, slots=True)
class ImageRates:
    """A fixed price for each image that is delivered, in nanos. What it costs us is counted by the vendor's tokens.

    `image_input` and `image_output` are the vendor's prices of a million image tokens; None: as those of text.
    """

    price: int
    vendor: Rates
    image_input: int | None = None
    image_output: int | None = None

    def cost_of(self, usage: TokenUsage) -> int:
        """What delivered images are charged; where there are none, what they cost us, which is ours."""
        return usage.images * self.price if usage.images else self.provider_cost_of(usage) or 0

    def provider_cost_of(self, usage: TokenUsage) -> int | None:
        """What the vendor's tokens come to, rounded once, half up; None where it reported none."""
        if not isinstance(usage, ImageUsage) or usage.source != "reported":
            return None
        tokens, text = self.vendor.tokens, usage.of_text
        shown = usage.image_input * (tokens["uncached_input"] if self.image_input is None else self.image_input)
        made = usage.image_output * (tokens["output"] if self.image_output is None else self.image_output)
        return half_up(self.vendor.millionths_of(text) + shown + made)

    @staticmethod
    def is_delivered(usage: TokenUsage) -> bool:
        return usage.images > 0

    def most_for(self, _input_tokens: int, images: int) -> int:
        """Estimate, reservation and ceiling are one."""
        return images * self.price

    def output_tokens_for(self, nanos: int, _input_tokens: int) -> int:
        """How many images `nanos` affords."""
        return nanos // self.price

    def input_tokens_of(self, _nanos: int, _images: int) -> int:
        """What was read has no part in the price."""
        return 0

    def prices_for(self, _input_tokens: int) -> dict[str, int | None]:
        return {"images": self.price}


def half_up(millionths: int) -> int:
    return (millionths + 500_000) // 1_000_000


AnyRates = Rates | ImageRates


def priced(rates: AnyRates, usage: TokenUsage) -> tuple[TokenUsage, int]:
    """The usage and its cost; pieces that have no price cannot be charged and are left out."""
    try:
        return usage, rates.cost_of(usage)
    except PricingError:
        without = replace(usage, images=0, searches=0)
        return without, rates.cost_of(without)
