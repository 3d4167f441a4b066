"""What all parts of the bench agree on."""

import os
from dataclasses import dataclass

MODEL = "bench-model"
TOKENS = 100
IS_QUICK = os.environ.get("QUICK") == "1"


def either(usual: int, quick: int) -> int:
    """How much to do: all of it, or what `QUICK=1` leaves."""
    return quick if IS_QUICK else usual


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the report. `ratio` is ours to theirs; reached where it is on the right side of `target`.

    Where there is no comparison, `theirs` is empty and `ratio` is our own figure.
    """

    number: int
    name: str
    ours: str
    theirs: str
    ratio: float
    target: float
    is_most: bool = True
    """The ratio is to be at most the target; False: at least."""

    @property
    def is_reached(self) -> bool:
        return self.ratio <= self.target if self.is_most else self.ratio >= self.target


def ratio_of(
    number: int, name: str, unit: str, ours: float, theirs: float, *, target: float, is_most: bool = True
) -> Measure:
    return Measure(number, name, f"{ours:,.1f} {unit}", f"{theirs:,.1f} {unit}", ours / theirs, target, is_most)
