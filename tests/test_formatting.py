"""How money, times and counts become text."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.models.base import credits_figure, credits_string, credits_text
from app.web import formatting
from app.web.charts import bar_chart

NANOS = st.integers(min_value=-(10**18), max_value=10**18)


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [
        (0, "0"),
        (1, "0.000001"),
        (200, "0.0002"),
        (187_500, "0.1875"),
        (375_000, "0.375"),
        (6_250_000, "6.25"),
        (9_000_000, "9"),
        (99_994_999, "99.99"),
        (1_234_500_000, "1,234.5"),
        (1_234_560_000, "1,234.6"),
        (10_000_000_000, "10,000"),
        (-6_250_000, "-6.25"),
        (-1, "-0.000001"),
    ],
)
def test_credits_are_shown_with_sensible_precision(nanos: int, shown: str) -> None:
    assert credits_figure(nanos) == shown


@given(NANOS.filter(bool))
def test_what_is_not_nothing_is_never_shown_as_nothing(nanos: int) -> None:
    assert credits_figure(nanos).strip("-0.") != ""


@given(NANOS)
def test_exact_credits_lose_no_nano(nanos: int) -> None:
    assert Decimal(formatting.credits_exact(nanos).replace(",", "")) * 1_000_000 == nanos


@given(NANOS)
def test_credits_for_programs_lose_no_nano_and_have_no_exponent(nanos: int) -> None:
    text = credits_string(nanos)
    assert Decimal(text) * 1_000_000 == nanos
    assert set(text) <= set("-.0123456789")


def test_exact_credits_have_thousands() -> None:
    assert formatting.credits_exact(1_234_567_891_000) == "1,234,567.891"


@pytest.mark.parametrize(("nanos", "shown"), [(5_000_000_000, "+5,000"), (-6_250_000, "-6.25"), (0, "0")])
def test_a_change_has_its_sign(nanos: int, shown: str) -> None:
    assert formatting.credits_change(nanos) == shown


@pytest.mark.parametrize(("nanos", "shown"), [(1_000_000, "1 credit"), (6_250_000, "6.25 credits"), (0, "0 credits")])
def test_credits_in_a_sentence_have_their_unit(nanos: int, shown: str) -> None:
    assert credits_text(nanos) == shown


def test_a_line_of_a_receipt_is_not_rounded() -> None:
    assert formatting.line_credits({"quantity": 3, "price_nanos": 75_000_000, "per": 1_000_000}) == "0.000225"


@pytest.mark.parametrize(("basis_points", "shown"), [(5000, "50%"), (1234, "12.34%"), (0, "0%")])
def test_basis_points_are_shown_as_percent(basis_points: int, shown: str) -> None:
    assert formatting.percent(basis_points) == shown


@pytest.mark.parametrize(("count", "shown"), [(200, "200"), (128_000, "128K"), (1_048_576, "1M"), (1_500_000, "1.5M")])
def test_a_size_is_shown_at_a_glance(count: int, shown: str) -> None:
    assert formatting.short_number(count) == shown


@pytest.mark.parametrize(("count", "shown"), [(4761, "4,800"), (7, "7"), (42, "42"), (123_456, "120,000")])
def test_a_rough_count_has_two_figures(count: int, shown: str) -> None:
    assert formatting.roughly(count) == shown


@pytest.mark.parametrize(("part", "whole", "shown"), [(1, 3, 33), (5, 3, 100), (-1, 3, 0), (1, 0, 0)])
def test_a_share_stays_between_nothing_and_all(part: int, whole: int, shown: int) -> None:
    assert formatting.share(part, whole) == shown


def test_a_moment_is_in_utc_for_the_script_to_turn_into_local_time() -> None:
    moment = datetime(2026, 11, 21, 3, 1, tzinfo=UTC)
    shown = '<time datetime="2026-11-21T03:01:00Z" data-local="datetime">21 November 2026, 03:01 UTC</time>'
    assert formatting.datetime_markup(moment) == shown


def test_a_moment_that_is_not_there_is_empty() -> None:
    assert formatting.datetime_markup(None) == ""


def test_a_moment_in_a_sentence_has_its_preposition() -> None:
    shown = formatting.when_markup(datetime(2026, 11, 21, 3, 1, tzinfo=UTC))
    assert shown == '<time datetime="2026-11-21T03:01:00Z" data-local="when">on 21 November 2026, 03:01 UTC</time>'


@pytest.mark.parametrize(
    ("user_agent", "shown"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Linux"),
        ("curl/8", "A browser"),
    ],
)
def test_a_browser_is_named_as_its_owner_knows_it(user_agent: str, shown: str) -> None:
    assert formatting.browser(user_agent) == shown


def test_a_date_has_its_month_in_full() -> None:
    assert formatting.date_text(date(2026, 2, 1)) == "1 February 2026"


def test_markdown_is_safe_to_put_into_a_page(app: Flask) -> None:
    with app.app_context():
        html = formatting.markdown("**a** <b>").__html__()
    assert html == '<p dir="auto"><strong>a</strong> &lt;b&gt;</p>\n'


@given(st.datetimes(min_value=datetime(2026, 1, 1), timezones=st.just(UTC)), st.integers(-12, 14))  # noqa: DTZ001
def test_before_the_day_of_a_deadline_is_in_time_everywhere(moment: datetime, hours: int) -> None:
    day = datetime.strptime(formatting.deadline(moment), "%d %B %Y")  # noqa: DTZ007
    assert day.replace(tzinfo=timezone(timedelta(hours=hours))) <= moment


def test_a_day_that_is_a_moment_is_told_by_the_readers_clock() -> None:
    shown = formatting.date_markup(datetime(2026, 12, 28, 3, tzinfo=UTC))
    assert shown == '<time datetime="2026-12-28T03:00:00Z" data-local="date">28 December 2026</time>'
    assert formatting.date_markup(date(2026, 12, 28)) == "28 December 2026"


@pytest.mark.parametrize(
    ("sent", "day", "near", "mark"),
    [
        ("en-US,en;q=0.9", "December 3, 2026", "December 3", "Dec 3"),
        ("en-GB", "3 December 2026", "3 December", "3 Dec"),
        ("de", "3 December 2026", "3 December", "3 Dec"),
        ("ja-JP", "December 3, 2026", "December 3", "Dec 3"),
        ("*", "3 December 2026", "3 December", "3 Dec"),
        ("", "3 December 2026", "3 December", "3 Dec"),
    ],
)
def test_a_day_of_a_page_is_as_the_readers_region_writes_it(
    app: Flask, sent: str, day: str, near: str, mark: str
) -> None:
    third = date(2026, 12, 3)
    with app.test_request_context(headers={"Accept-Language": sent}):
        assert formatting.date_markup(third) == day
        assert formatting.day_and_month(third) == near
        assert bar_chart("Use", [third], {"credits": [1]}, str).labels[0][1] == mark
        assert formatting.date_text(third) == "3 December 2026", "a mail goes to somebody else"
