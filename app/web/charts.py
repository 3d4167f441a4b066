"""Bars by day as SVG: the geometry, in whole pixels; the template draws it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from app.web.formatting import day_text

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 186, 64, 28, 12
LABEL = 20
"""Half of the widest label: the last one would be cut."""

APART = 14
"""Two marks of the axis that are closer cover one another."""


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    width: float
    y: float
    height: float
    series: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`bars` from the baseline up (down, where negative); `marks` are (y, words) of the axis, `labels` (x, words)."""

    title: str
    names: tuple[str, ...]
    bars: list[Bar]
    marks: list[tuple[float, str]]
    labels: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def bar_chart(
    title: str, days: Sequence[date], series: Mapping[str, Sequence[int]], write: Callable[[int], str]
) -> Chart:
    """Bars side by side for each day; `write` turns a figure into words."""
    lowest = min(0, *(min(values) for values in series.values()))
    highest = max(1, *(max(values) for values in series.values()))
    scale = (HEIGHT - BOTTOM - TOP) / (highest - lowest)
    base, step = TOP + highest * scale, (WIDTH - LEFT) / len(days)
    bars = [
        Bar(
            *position(day, number, len(series), step),
            *size(value, base, scale),
            number + 1,
            f"{day_text(days[day])}, {name}: {write(value)}",
        )
        for number, (name, values) in enumerate(series.items())
        for day, value in enumerate(values)
    ]
    marked = {0, *(value for value in (lowest, highest) if abs(value) * scale > APART)}
    marks = [(round(base - value * scale, 1), write(value)) for value in sorted(marked)]
    labelled = range(0, len(days), max(1, len(days) // 8))
    labels = [(min(round(LEFT + step * (day + 0.5), 1), WIDTH - LABEL), day_text(days[day])) for day in labelled]
    return Chart(title, tuple(series), bars, marks, labels)


def position(day: int, number: int, among: int, step: float) -> tuple[float, float]:
    """Where a bar begins, and how wide it is."""
    wide = max(1.0, step * 0.8 / among)
    return round(LEFT + step * (day + 0.1) + wide * number, 1), round(wide, 1)


def size(value: int, base: float, scale: float) -> tuple[float, float]:
    """The top of a bar, and how high it is; what is not nothing can be seen."""
    high = max(abs(value) * scale, 0.5 if value else 0)
    return round(base - max(0, value) * scale, 1), round(high, 1)
