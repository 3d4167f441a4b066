"""Why a call cost what it did: every figure of the sentence recomputes from the receipt, and its advice saves."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from app.models.catalog.price import ModelPrice
from app.models.metering.cost_explanation import explain
from app.models.metering.usage import BUCKETS, Usage
from app.providers.base import TOKEN_BUCKETS, Prompt, PromptMessage, TokenUsage
from app.web.formatting import explanation_text

TOKENS = st.integers(0, 50_000)
PRICES = st.integers(1, 10**11)
A_SEARCH = 10_000_000


@example(used=TokenUsage(0, 10_000, 0, 0, 1), prices=(10**11, 10**9, 1, 1, 1), earlier_bps=6_000, absorbed=0)
@given(
    used=st.builds(TokenUsage, *(TOKENS for _ in TOKEN_BUCKETS), searches=st.integers(0, 3)),
    prices=st.tuples(*(PRICES for _ in TOKEN_BUCKETS)),
    earlier_bps=st.integers(0, 10_000),
    absorbed=st.integers(0, 2),
)
def test_the_figures_recompute_and_the_advice_costs_less(
    used: TokenUsage, prices: tuple[int, ...], earlier_bps: int, absorbed: int
) -> None:
    columns = {f"{bucket}_nanos": nanos for bucket, nanos in zip(TOKEN_BUCKETS, prices, strict=True)}
    price = ModelPrice(**columns, search_nanos=A_SEARCH)
    call = Usage(**{bucket: getattr(used, bucket) for bucket in BUCKETS}, price=price, earlier_bps=earlier_bps)
    call.allowance_paid_nanos, call.credits_paid_nanos = max(0, price.rates.cost_of(used) - absorbed), 0
    why = explain(call)
    if why is None:
        assert not call.paid_nanos or used.searches
        return

    again = used.input_tokens * earlier_bps // 10_000
    costs = costs_of(used, dict(zip(TOKEN_BUCKETS, prices, strict=True)), again)
    assert why.tokens == {"earlier": again, "input": used.input_tokens - again, "output": used.output}[why.part]
    assert abs(Fraction(costs[why.part], max(1, sum(costs.values()))) * 100 - why.percent) <= Fraction(1, 2)
    assert costs[why.part] == max(costs.values())
    assert f"{why.percent}% of it is" in explanation_text(why)
    if why.new_chat_nanos is not None:
        fresh = used.input_tokens - again
        alone = TokenUsage(uncached_input=fresh, output=used.output, searches=used.searches)
        assert why.new_chat_nanos == price.rates.cost_of(alone) < call.paid_nanos


def costs_of(used: TokenUsage, prices: dict[str, int], again: int) -> dict[str, int]:
    """What a cache held was said before; in millionths of a nano."""
    costs = {"earlier": 0, "input": 0, "output": used.output * prices["output"]}
    for bucket in ("cache_read", "cache_write_5m", "cache_write_1h", "uncached_input"):
        of_it = getattr(used, bucket)
        part = min(again, of_it)
        again -= part
        costs["earlier"] += part * prices[bucket]
        costs["input"] += (of_it - part) * prices[bucket]
    return costs | {"pieces": used.searches * A_SEARCH * 10**6}


def test_what_was_said_before_is_a_share_of_what_is_sent() -> None:
    said = [PromptMessage(role, text) for role, text in (
        ("system", "a" * 40), ("user", "b" * 400), ("assistant", "c" * 300), ("user", "d" * 60))]  # fmt: skip
    prompt = Prompt("m", tuple(said), 100)
    assert prompt.earlier_bps(prompt.tokens) == (700 // 4) * 10_000 // prompt.tokens
    alone = Prompt("m", (said[0], said[3]), 100)
    assert alone.earlier_bps(alone.tokens) == Prompt("m", (), 1).earlier_bps(0) == 0
