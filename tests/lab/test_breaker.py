"""The breaker in the lab, side by side: what trips on one alone, how long that lasts, and what is learned."""

from datetime import UTC, datetime, timedelta

import pytest

from app.lab.breaker import Day, Guard, Guards

BEGINS = datetime(2026, 10, 1, tzinfo=UTC)
MONTH_AGO = [((BEGINS - timedelta(days=number)).date(), 100, 50) for number in range(1, 9)]


def guards(was: int, then: int, known: list[Day] | None = None) -> Guards:
    """At these floors."""
    sides = (Guard(list(known or []), frozenset(), 0, (floor, 0), BEGINS, BEGINS) for floor in (was, then))
    return Guards(*sides)


def spend(both: Guards, at: datetime, amount: int, key: int | None = None) -> None:
    """A call on both sides, over at once."""
    both.record(1, key, amount, (at, amount, True))
    both.then.hold(key, amount)
    both.then.end(key, at, amount, amount, is_settled=True)


def test_a_pause_of_one_side_ends_after_an_hour_for_the_rest_of_its_day() -> None:
    both, noon = guards(100, 50), BEGINS + timedelta(hours=12)
    spend(both, noon, 60)
    after = [timedelta(minutes=1), timedelta(minutes=59), timedelta(minutes=62), timedelta(hours=11)]
    assert [both.refuse(None, noon + later, was_refused=False) for later in after] == [
        True,
        True,
        False,
        False,
    ]
    tomorrow = noon + timedelta(days=1)
    assert not both.refuse(None, tomorrow, was_refused=False)
    spend(both, tomorrow, 60)
    assert both.refuse(None, tomorrow + timedelta(minutes=1), was_refused=False)


def test_a_pause_of_both_ends_when_it_was_ended_and_the_next_is_judged_anew() -> None:
    both, noon = guards(100, 50), BEGINS + timedelta(hours=12)
    spend(both, noon, 120)
    told = [both.refuse(None, noon + timedelta(hours=hours), was_refused=hours < 3) for hours in (1, 2, 3, 4)]
    assert told == [True, True, False, False]
    spend(both, noon + timedelta(days=1), 60)
    assert both.refuse(None, noon + timedelta(days=1, minutes=1), was_refused=False)


def test_a_pause_that_a_higher_floor_would_not_have_made_is_none() -> None:
    both, noon = guards(100, 500), BEGINS + timedelta(hours=12)
    spend(both, noon, 120)
    assert not both.refuse(None, noon + timedelta(hours=1), was_refused=True)
    assert not both.refuse(None, noon + timedelta(days=1), was_refused=True)


def test_who_had_the_guard_off_in_truth_has_it_off() -> None:
    both = guards(100, 50)
    spend(both, BEGINS, 120)
    assert not both.refuse(None, BEGINS + timedelta(minutes=1), was_refused=False)


def test_a_key_that_runs_away_is_paused_alone() -> None:
    both = guards(1000, 50)
    spend(both, BEGINS, 60, key=7)
    spend(both, BEGINS, 10, key=8)
    at = BEGINS + timedelta(minutes=1)
    assert [both.refuse(key, at, was_refused=False) for key in (8, None, 7)] == [False, False, True]
    assert list(both.then.paused) == [7]


@pytest.mark.parametrize(("days", "bars"), [(0, (40, 40)), (6, (40, 40)), (8, (150, 200))])
def test_bars_follow_the_days_of_use(days: int, bars: tuple[int, int]) -> None:
    assert guards(40, 40, MONTH_AGO[:days]).was.usual(BEGINS).bars == bars


def test_days_of_the_run_are_learned_but_mistakes() -> None:
    both, second = guards(40, 40, MONTH_AGO), BEGINS + timedelta(days=1)
    both.then.mistakes = frozenset({second.date()})
    for at, amount in ((BEGINS + timedelta(hours=1), 300), (second, 900)):
        spend(both, at, amount)
    third = second + timedelta(days=1)
    for side in (both.was, both.then):
        side.catch_up(third)
    assert (both.was.usual(third).bars, both.then.usual(third).bars) == ((2700, 1800), (900, 600))
