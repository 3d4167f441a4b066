"""Finds what vendors report of a call: beside the choices, inside one, under their own key, in headers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.providers.base import Evidence
from app.providers.token_count import estimate_tokens
from app.providers.usage import (
    COMPLETION,
    MOST_TOKENS,
    SEARCHES,
    TOTAL,
    Raw,
    is_believable,
    mapping,
    part,
    parts_of,
)

HEADERS = ("fireworks-prompt-tokens", "fireworks-cached-prompt-tokens", "x-prompt-tokens")
COST_HEADER = "x-litellm-response-cost"
TICKS_PER_DOLLAR = 10**10
NANOS_PER_DOLLAR = 10**9
MOST_DOLLARS = 100_000
PIECE = re.compile(r"(requests|calls|queries|searches|sources(_used)?|images|pages|(audio|video)_seconds)$")
"""How the names end of what vendors bill by the piece: what is no search has no column in a price row."""

DEARER = re.compile(r"((completion|output)_\w*\.(image|audio|video)|(prompt|input)_\w*\.audio)_tokens$")
"""Tokens that vendors bill at other rates than those of text."""

REPORTS = (
    "usage",
    "usageMetadata",
    "usage_metadata",
    "amazon-bedrock-invocationMetrics",
    "x_nanogpt_pricing",
)
COSTS = ("cost", "total_cost")
"""In the currency that stands beside them, dollars where none does."""

COSTS_IN_DOLLARS = ("cost_usd", "costUsd", "estimated_cost")
OLLAMA = frozenset(("prompt_eval_count", "eval_count"))
DEEPEST = 6
FEWEST_PIECES = 3
"""Figures beside text from which on it can be told what they count."""


def reports_in(event: dict[str, Any]) -> Iterator[Raw]:
    """Every usage that an event of OpenAI's format carries.

    At the top (most), in a choice (Moonshot), under a vendor's key (Groq's `x_groq`), as `timings` (llama.cpp), or
    beside all else (Ollama's own).
    """
    yield from reports_within(event, DEEPEST)
    if timings := mapping(event.get("timings")):
        yield {"timings": timings}
    if not OLLAMA.isdisjoint(event):
        yield {name: event[name] for name in OLLAMA if name in event}


def reports_within(holder: dict[str, Any] | list[Any], depth: int) -> Iterator[Raw]:
    """Every usage in it, however it is wrapped. Each delta comes by here: parsed JSON is dicts and lists alone."""
    if not depth:
        return
    for name, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        kind = type(value)
        if kind is dict and name in REPORTS:
            yield value
        elif kind is dict and name == "usage_breakdown":
            yield summed(reports_within(value, depth - 1))
        elif kind is dict or kind is list:
            yield from reports_within(value, depth - 1)


def summed(reports: Iterable[Raw]) -> Raw:
    """The reports of several models that made one answer (Groq's compound systems)."""
    whole: Counter[str] = Counter()
    for report in reports:
        whole.update({name: figure for name, figure in report.items() if is_believable(figure)})
    return whole


def report_in_headers(headers: Mapping[str, str]) -> Raw:
    """The figures that come before the stream: Fireworks', Text Generation Inference's, LiteLLM's cost."""
    figures: dict[str, Any] = {name: int(headers[name]) for name in HEADERS if headers.get(name, "").isdecimal()}
    if cost := dollars(headers.get(COST_HEADER)):
        figures[COST_HEADER] = str(cost)
    return {"headers": figures} if figures else {}


def joined(known: Raw, fresh: Raw) -> dict[str, Any]:
    """Two reports of one call. Figures are cumulative: a later zero or a smaller one does not wipe an earlier one."""
    whole = dict(known)
    for name, figure in fresh.items():
        earlier = whole.get(name)
        if isinstance(earlier, Mapping) and isinstance(figure, Mapping):
            whole[name] = joined(earlier, figure)
        elif figure is None or (isinstance(earlier, Mapping) and not figure):
            continue
        elif not (is_believable(earlier) and is_believable(figure) and figure < earlier):
            whole[name] = figure
    return whole


class RunningFigures:
    """The output's figures that came beside text: the sum so far with most vendors, with some only what is new.

    They are new ones (Workers AI's) where they do not grow and, added up, come near what the text counts as, of which
    the largest is a small part: no total was told.
    """

    def __init__(self) -> None:
        self._figures: list[int] = []
        self._text: list[str] = []

    def add(self, report: Raw, text: str) -> None:
        if text and (figure := parts_of(report, COMPLETION)):
            self._figures.append(figure)
            self._text.append(text)

    def applied_to(self, raw: Raw) -> Raw:
        """The report of the whole call, with the sum in the place of one piece's figure."""
        figures, largest = self._figures, parts_of(raw, COMPLETION)
        is_growing = figures == sorted(figures) and len(set(figures)) > 1
        if len(figures) < FEWEST_PIECES or is_growing:
            return raw
        counted, told = estimate_tokens("".join(self._text)), sum(figures)
        if largest * 2 >= counted or not counted <= told * 3 <= counted * 9:
            return raw
        kept = {name: value for name, value in raw.items() if name not in TOTAL}
        return kept | {"completion_tokens": told}


def evidence(raw: Raw, *, model: object, tier: object) -> Evidence:
    """What stands beside the tokens: who answered, at which tier, what the vendor says that it billed."""
    return Evidence(
        model=short(model),
        service_tier=short(tier) or short(raw.get("service_tier")),
        cost_nanos=billed_nanos(raw),
        unpriced=sum(unpriced_pieces(raw)),
    )


def short(name: object) -> str | None:
    """A name that a vendor sent, as any database can hold it."""
    if not isinstance(name, str):
        return None
    return name[:120].encode("utf-8", "replace").decode().replace("\0", "").strip() or None


def unpriced_pieces(raw: Raw) -> Iterator[int]:
    """What is billed by the piece and is no search, or by tokens that are no text's, at the top or in a detail."""
    for name, value in raw.items():
        figures = {f"{name}.{key}": figure for key, figure in mapping(value).items()} or {name: value}
        for path, figure in figures.items():
            if DEARER.search(path) or (PIECE.search(path) and path not in SEARCHES):
                yield part(figure, MOST_TOKENS)


def billed_nanos(raw: Raw) -> int | None:
    """What was billed, in nano-dollars, where the vendor says so; None where it does not.

    OpenRouter's `cost` is its own share alone where the key is the founder's at the vendor's.
    """
    names = COSTS_IN_DOLLARS if is_foreign(raw) else (*COSTS, *COSTS_IN_DOLLARS)
    told = (total_dollars(raw.get(name)) for name in names)
    billed = next((amount for amount in told if amount is not None), None)
    if raw.get("is_byok") is True:
        upstream = dollars(mapping(raw.get("cost_details")).get("upstream_inference_cost"))
        billed = (billed or Decimal()) + (upstream or Decimal())
    if billed is None:
        billed = dollars(raw.get("cost_in_usd_ticks"), per_dollar=TICKS_PER_DOLLAR)
    if billed is None:
        billed = dollars(mapping(raw.get("headers")).get(COST_HEADER))
    return None if billed is None else int((billed * NANOS_PER_DOLLAR).to_integral_value())


def is_foreign(raw: Raw) -> bool:
    """Whether its amounts are of another currency than dollars."""
    return str(raw.get("currency") or "USD").upper() not in ("USD", "$")


def total_dollars(cost: object) -> Decimal | None:
    """An amount by itself, or the total of several."""
    if not isinstance(cost, Mapping):
        return dollars(cost)
    return None if is_foreign(cost) else dollars(cost.get("total_cost", cost.get("total")))


def dollars(figure: object, *, per_dollar: int = 1) -> Decimal | None:
    """An amount in dollars; None where it cannot be one."""
    if isinstance(figure, bool) or not isinstance(figure, int | float | str):
        return None
    try:
        amount = Decimal(str(figure)) / per_dollar
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MOST_DOLLARS else None
