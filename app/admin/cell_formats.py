"""How the admin writes figures, moments and lists."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from markupsafe import Markup

from app.admin.form_fields import plain
from app.models.catalog.worth import in_cents
from app.web import formatting

Formatter = Callable[[Any, Any, Any, str], Any]


def money_text(cents: int | None) -> str:
    return "" if cents is None else formatting.money_text(cents)


def cost(nanos: int | None) -> str:
    """Nano-dollars in the currency of the installation: to the cent, and what is less than one cent as that."""
    if nanos is None:
        return ""
    cents = in_cents(nanos)
    return f"< {money_text(1)}" if nanos > 0 and not cents else money_text(cents)


def credits_text(nanos: int | None) -> str:
    """Credits to the last nano."""
    return "" if nanos is None else formatting.credits_exact(nanos)


def percent(basis_points: int | None) -> str:
    return "" if basis_points is None else formatting.percent(basis_points)


def per_million(nanos: int | None) -> str:
    return "" if nanos is None else f"${plain(nanos, 10**9, 2)}"


def moment(value: datetime | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M}"


def sold_title(sold: Any) -> str:
    """A plan or pack by name; what isn't on sale by status and number too, since its new version has the same name."""
    return sold.name if sold.status == "active" else f"{sold.name} ({sold.status}, number {sold.id})"


def shown(write: Callable[[Any], str]) -> Formatter:
    """A column's formatter from a function of its value."""
    return lambda _view, _context, row, name: write(getattr(row, name))


def link(address: str, text: object) -> Markup:
    return Markup('<a href="{}">{}</a>').format(address, text)


def hinted(text: str, hint: str) -> Markup:
    """A text that says more under the pointer."""
    return Markup('<span title="{}">{}</span>').format(hint, text)


def told(changes: dict[str, list[str | None]]) -> str:
    """Differences in one line: "margin_bps: 5000 → 4000"."""
    return "; ".join(
        f"{name}: {before or 'nothing'} → {after or 'nothing'}" for name, (before, after) in changes.items()
    )


def in_types(value: Any) -> str:
    """A value without a formatter of its own, as people read it."""
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def in_thousands(value: Any) -> str:
    """A number with separators, for reading; exports have it plain."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else in_types(value)


def column_text(column: str) -> str:
    """A column's name in words, without its unit."""
    for end in UNITS:
        column = column.removesuffix(end)
    return column.removesuffix(".name").removesuffix("_at").replace("_", " ")


UNITS = {"_nanos": credits_text, "_cents": money_text, "_bps": percent}
"""How columns of amounts are written, by the end of their name."""

COUNTED = (*UNITS, "_tokens")


def by_unit(columns: Iterable[str]) -> dict[str, Formatter]:
    """The formatters of those that end with a unit."""
    return {name: shown(write) for name in columns for end, write in UNITS.items() if name.endswith(end)}
