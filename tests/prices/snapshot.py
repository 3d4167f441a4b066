"""The prices of every seeded model as text, one row to a line: a new release of genai-prices shows as a diff of it.

python -m tests.prices.snapshot      writes `prices.snapshot` anew
"""

from pathlib import Path

from app.catalog.price_import import times_of
from app.catalog.price_source import Quote, listed_models
from app.catalog.vendor_prices import quotes

KEPT = Path(__file__).with_name("prices.snapshot")
SHORT = {
    "uncached_input_nanos": "in", "cache_read_nanos": "read", "cache_write_5m_nanos": "write-5m",
    "cache_write_1h_nanos": "write-1h", "output_nanos": "out", "search_nanos": "search",
}  # fmt: skip


def line(name: str, quote: Quote) -> str:
    figures = {SHORT.get(column, column.removesuffix("_nanos")): price for column, price in quote.figures.items()}
    shown = " ".join(f"{column}={price}" for column, price in figures.items() if price is not None)
    return f"{name} {quote.effective_from:%Y-%m-%d} [{times_of(quote.schedule)}] {shown}"


def text() -> str:
    return "".join(f"{line(listed['name'], quote)}\n" for listed in listed_models() for quote in quotes(listed))


if __name__ == "__main__":
    KEPT.write_text(text())
