"""Models whose vendor's price has passed what their buyers paid for, by the newest prices that are known."""

from __future__ import annotations

from collections.abc import Iterator

from app.admin.cell_formats import percent
from app.admin.price_review import compared, use_of_models
from app.catalog.price_import import Finding, figures_of
from app.models.catalog.listing import all_on_offer
from app.models.catalog.setting import Setting
from app.models.catalog.worth import BPS

A_MILLION_EACH = (1_000_000, 1_000_000)
BUCKETS = ("uncached_input_nanos", "output_nanos")


def price_alarms() -> list[str]:
    """One for each model on sale that would leave less than the floor at its vendor's price of now."""
    margins = [sold.margin_bps for sold in all_on_offer() if sold.price_cents]
    if not margins:
        return []
    use = use_of_models()
    return [text for finding in compared() for text in alarm_of(finding, min(margins), use)]


def alarm_of(finding: Finding, margin: int, use: dict[str, tuple[int, int]]) -> Iterator[str]:
    """Credits are sold at our price: what a vendor takes beyond it comes off the margin at which they were sold."""
    is_now = finding.kind != "future" and finding.model.is_for_sale
    if finding.old is None or finding.new is None or not is_now:
        return
    tokens = use.get(finding.model.name, A_MILLION_EACH)
    ours = cost(tokens, figures_of(finding.old))
    theirs = cost(tokens, finding.new.figures)
    left = BPS - theirs * (BPS - margin) // ours if ours else 0
    if theirs > ours and (left < 0 or left < Setting.get("margin_floor")):
        yield (
            f"{finding.model.name}: its vendor charges {theirs * 100 // max(1, ours)}% of your price, "
            f"which leaves a margin of {percent(left)} on what its buyers paid. Approve the new price or raise yours."
        )


def cost(tokens: tuple[int, int], figures: dict[str, int | None]) -> int:
    return (
        sum(count * (figures[bucket] or 0) for count, bucket in zip(tokens, BUCKETS, strict=True))
        // 1_000_000
    )
