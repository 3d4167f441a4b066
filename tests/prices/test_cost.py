"""What a call costs: billing-rules.md's vectors, rounding, and agreement with genai-prices for every seeded model."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from genai_prices.types import Usage as VendorUsage
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.price_source import listed_models
from app.catalog.vendor_prices import quotes, vendor_model
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import in_force
from app.models.catalog.rates import Rates
from app.models.metering.refusal import PricingError
from app.providers.base import PIECES, TOKEN_BUCKETS, Prompt, PromptMessage, TokenUsage
from tests.prices.china import is_free_day

SOLD = [model for model in listed_models() if "dollars" not in model]
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NEAR_A_THRESHOLD = st.sampled_from([100_000, 200_000, 272_000]).flatmap(lambda n: st.integers(n - 3, n + 3))
TOKENS = st.one_of(st.integers(0, 5_000), st.integers(0, 2_000_000), NEAR_A_THRESHOLD)


def flat(dollars_in: str, dollars_out: str, **pieces: int | None) -> Rates:
    per_input, per_output = (int(Decimal(dollars) * 10**9) for dollars in (dollars_in, dollars_out))
    tokens = dict.fromkeys(TOKEN_BUCKETS, per_input) | {"output": per_output}
    return Rates(tokens, tokens, None, dict.fromkeys(PIECES) | pieces)


@pytest.mark.parametrize(
    ("model", "dollars_in", "dollars_out", "nanos"),
    [
        ("GPT-4o", "2.50", "10.00", 6_250_000),
        ("GPT-4o mini", "0.15", "0.60", 375_000),
        ("Claude 3.5 Sonnet", "3.00", "15.00", 9_000_000),
        ("Claude 3.5 Haiku", "0.80", "4.00", 2_400_000),
        ("Gemini 2.0 Flash", "0.075", "0.30", 187_500),
        ("DeepSeek Chat", "0.14", "0.28", 210_000),
    ],
)
def test_five_hundred_tokens_each_way_cost_what_the_page_says(
    model: str, dollars_in: str, dollars_out: str, nanos: int
) -> None:
    assert flat(dollars_in, dollars_out).cost_of(TokenUsage(uncached_input=500, output=500)) == nanos


def test_a_call_is_rounded_once_half_up() -> None:
    rates = flat("0.0005", "0.0005")

    assert [rates.cost_of(TokenUsage(uncached_input=n, output=n)) for n in (0, 1, 2, 3)] == [0, 1, 2, 3]
    assert rates.cost_of(TokenUsage(uncached_input=1)) == 1
    assert flat("0.000499999", "1").cost_of(TokenUsage(uncached_input=1)) == 0


def test_images_and_searches_cost_by_the_piece() -> None:
    rates = flat("1", "2", images=40_000_000, searches=10_000_000)

    assert rates.cost_of(TokenUsage(uncached_input=1, images=2, searches=3)) == 1_000 + 80_000_000 + 30_000_000


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_without_a_price_cannot_be_charged(piece: str) -> None:
    with pytest.raises(PricingError, match=piece):
        flat("1", "2").cost_of(TokenUsage(output=1, **{piece: 1}))


def our_model(listed: dict[str, object]) -> AIModel:
    """A listed model with its prices, as the seed makes it."""
    approved = datetime(2026, 11, 21, tzinfo=UTC)
    prices = [ModelPrice(**quote.columns, approved_at=approved) for quote in quotes(listed)]
    return AIModel(name=listed["name"], prices=prices)


def vendors_hour(listed: dict[str, object], at: datetime) -> datetime:
    """The moment to ask genai-prices for: it takes a free day at DeepSeek for a working day, so ask for its evening."""
    is_peak_priced = listed["provider"] == "DeepSeek" and "peak" not in listed
    return at.replace(hour=12) if is_peak_priced and is_free_day(at) else at


OURS = {listed["name"]: our_model(listed) for listed in SOLD}


@given(
    listed=st.sampled_from(SOLD),
    at=MOMENTS,
    uncached=TOKENS,
    read=TOKENS,
    write_5m=TOKENS,
    write_1h=TOKENS,
    output=TOKENS,
    searches=st.integers(0, 5),
)
def test_our_cost_is_the_vendors_price_for_every_model_at_any_moment(
    listed: dict[str, str],
    at: datetime,
    uncached: int,
    read: int,
    write_5m: int,
    write_1h: int,
    output: int,
    searches: int,
) -> None:
    price = in_force(OURS[listed["name"]].prices, at)
    assert price is not None
    searches = searches if price.search_nanos is not None else 0
    usage = TokenUsage(uncached, read, write_5m, write_1h, output, searches=searches)
    theirs = VendorUsage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=read,
        cache_write_tokens=write_5m + write_1h,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        output_tokens=output,
        web_searches=searches,
    )
    model = vendor_model(listed["provider"], listed.get("priced_as") or listed["name"])
    dollars = model.get_prices(vendors_hour(listed, at)).calc_price(theirs)["total_price"]

    assert price.rates.cost_of(usage) == (dollars * 10**9).quantize(Decimal(1), ROUND_HALF_UP)


@settings(max_examples=50)
@given(
    listed=st.sampled_from(listed_models()),
    at=MOMENTS,
    text=st.text(max_size=300),
    most_output=st.integers(1, 400_000),
    shares=st.lists(st.integers(0, 100), min_size=5, max_size=5),
    padding=st.sampled_from([0, 100_000, 272_000]),
)
def test_no_usage_within_the_bounds_costs_more_than_the_ceiling(
    listed: dict[str, str], at: datetime, text: str, most_output: int, shares: list[int], padding: int
) -> None:
    price = in_force((OURS.get(listed["name"]) or our_model(listed)).prices, at)
    assert price is not None
    prompt = Prompt(listed["name"], (PromptMessage("user", text + "x" * padding),), most_output)
    bound = prompt.input_token_bound
    reads, w5, w1, used, wrote = (share / 100 for share in shares)
    tokens = int(bound * used)
    usage = TokenUsage(
        cache_read=int(tokens * reads / 3), cache_write_5m=int(tokens * w5 / 3), cache_write_1h=int(tokens * w1 / 3),
        output=int(most_output * wrote),
    )  # fmt: skip
    usage = replace(usage, uncached_input=tokens - usage.input_tokens)

    assert price.rates.cost_of(usage) <= price.ceiling_of(prompt)
    assert price.expected_cost_of(prompt) <= price.ceiling_of(prompt)


@pytest.mark.parametrize("listed", listed_models(), ids=lambda listed: listed["name"])
def test_every_listed_model_has_a_price_for_every_bucket_at_every_half_hour(listed: dict[str, str]) -> None:
    """And a minute before each."""
    model = our_model(listed)
    start = datetime(2026, 11, 21, tzinfo=UTC)
    minutes = [60 * hour + minute for hour in range(24) for minute in (0, 29, 30, 59)]
    prices = [in_force(model.prices, start + timedelta(minutes=m)) for m in minutes]

    paid = [bucket for bucket in TOKEN_BUCKETS if bucket != "output" or not listed.get("is_embedding")]
    for price in prices:
        assert price
        assert min(rates[bucket] for rates in (price.rates.tokens, price.rates.long) for bucket in paid) > 0


EMBEDDERS = [listed for listed in listed_models() if listed.get("is_embedding") and listed["provider"] != "Demo"]


@pytest.mark.parametrize("listed", EMBEDDERS, ids=lambda listed: listed["name"])
def test_an_embedding_costs_its_input_at_the_vendor_s_price(listed: dict[str, str]) -> None:
    price = our_model(listed).prices[0]
    stated = vendor_model(listed["provider"], listed["name"]).get_prices(datetime(2026, 11, 21, tzinfo=UTC))
    assert price.uncached_input_nanos == stated.input_mtok * 10**9
    assert (price.output_nanos, stated.output_mtok) == (0, None)


def test_a_cached_token_without_a_price_of_its_own_costs_what_input_costs() -> None:
    price = our_model(next(model for model in SOLD if model["name"] == "gpt-4o")).prices[0]

    assert price.cache_write_5m_nanos == price.cache_write_1h_nanos == price.uncached_input_nanos == 2_500_000_000


def test_a_name_that_only_begins_like_a_known_one_has_no_price() -> None:
    with pytest.raises(PricingError, match="gpt-4o-2099"):
        vendor_model("OpenAI", "gpt-4o-2099")


def test_a_model_whose_price_the_source_leaves_out_is_refused() -> None:
    with pytest.raises(PricingError, match="no price"):
        quotes({"provider": "Google", "name": "gemma-3"})


def test_the_long_price_begins_above_its_threshold() -> None:
    short, long = (dict.fromkeys(TOKEN_BUCKETS, price * 10**6) for price in (1, 2))
    rates = Rates(short, long, 1000, dict.fromkeys(PIECES))
    assert [rates.cost_of(TokenUsage(uncached_input=n)) for n in (1000, 1001)] == [1000, 2002]
    assert [rates.most_for(n, 0) for n in (1000, 1001)] == [1000, 2002]


@given(st.integers(0, 10**15), st.integers(0, 10**6))
def test_output_that_is_afforded_never_costs_more_and_one_more_would(nanos: int, input_tokens: int) -> None:
    rates = flat("0.25", "2.5")
    affordable = rates.output_tokens_for(nanos, input_tokens)
    if affordable >= 0:
        assert rates.most_for(input_tokens, affordable) <= nanos < rates.most_for(input_tokens, affordable + 1)


@pytest.mark.parametrize(("most_output", "expected"), [(10, 10), (400, 400), (10_000, 400)])
def test_an_ordinary_answer_is_expected_where_a_longer_one_is_allowed(most_output: int, expected: int) -> None:
    price = ModelPrice(**{f"{bucket}_nanos": 0 for bucket in TOKEN_BUCKETS} | {"output_nanos": 10**9})
    prompt = Prompt("m", (PromptMessage("user", "hello"),), most_output)
    assert price.expected_cost_of(prompt) == expected * 1000
    assert price.ceiling_of(prompt) == most_output * 1000


def test_a_ceiling_is_rounded_up() -> None:
    """A nano for a million tokens: whatever is begun of a nano is held whole."""
    one = dict.fromkeys(TOKEN_BUCKETS, 1)
    rates = Rates(one, one, None, dict.fromkeys(PIECES))
    assert [rates.most_for(0, tokens) for tokens in (0, 1, 10**6, 10**6 + 1)] == [0, 1, 1, 2]
