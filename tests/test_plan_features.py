"""Plans describe themselves: what differs between two plans is named on their cards, and no figure is typed."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.setting import Setting
from app.web.plan_features import comparison, features, per_dollar, selling_points, trial_offer
from tests.admin.test_lists import statements
from tests.support import Database, people

CREDIT = 10**6
LIMITS = st.none() | st.integers(1, 500)
COLUMNS: dict[str, Any] = {
    "allowance_override_nanos": st.integers(1, 20_000).map(lambda credits: credits * CREDIT),
    "daily_limit_nanos": st.none() | st.integers(1, 500).map(lambda credits: credits * CREDIT),
    "window": st.none() | st.tuples(st.integers(1, 12), st.integers(1, 500).map(lambda credits: credits * CREDIT)),
    "chats_per_month": LIMITS,
    "parallel_calls": st.integers(6, 50),
    "models": st.sampled_from([[], ["demo-fast"], ["demo-fast", "demo-smart"]]),
    "has_api": st.booleans(),
    "allows_packs": st.booleans(),
    "has_priority_support": st.booleans(),
    "has_custom_branding": st.booleans(),
    "trial_days": st.integers(0, 30),
}
PLANS = st.fixed_dictionaries(COLUMNS)


def plan_of(**columns: Any) -> Plan:
    terms = {
        "name": "Plus",
        "price_cents": 2000,
        "currency": "usd",
        "interval": "month",
        "surcharge_cents": 0,
    }
    columns["window_hours"], columns["window_limit_nanos"] = columns.pop("window", None) or (None, None)
    return Plan(**terms | {"margin_bps": 5000, "bullets": []} | columns)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(first=PLANS, column=st.sampled_from(sorted(COLUMNS)), data=st.data())
def test_what_differs_between_two_plans_is_named_on_both_cards(
    app: Flask, first: dict[str, Any], column: str, data: st.DataObject
) -> None:
    other = first | {column: data.draw(COLUMNS[column])}
    with app.app_context():
        cards = [selling_points(plan_of(**columns)) for columns in (first, other)]
        rows = comparison([plan_of(**first), plan_of(**other)])
    differs = first[column] != other[column]
    assert (cards[0] != cards[1]) == differs
    assert any(cells[0] != cells[1] for _, cells in rows) == differs


def test_a_margin_that_is_edited_changes_every_figure(session: Database, client: FlaskClient) -> None:
    plus = session.query(Plan).filter_by(name="Plus").one()
    plus.margin_bps = 4000
    session.commit()

    page = client.get("/pricing").text
    assert "12,000 credits a month" in page
    assert "600 credits per $1" in page
    assert "10,000 credits a month" not in page


@pytest.mark.parametrize(
    ("sold", "shown"),
    [
        (plan_of(), "500 credits per $1"),
        (plan_of(price_cents=20000, interval="year", margin_bps=4000), "600 credits per $1"),
        (CreditPack(price_cents=2500, margin_bps=4800, currency="usd"), "520 credits per $1"),
    ],
)
def test_credits_for_a_dollar_are_of_the_whole_price(app: Flask, sold: Plan | CreditPack, shown: str) -> None:
    with app.app_context():
        assert per_dollar(sold) == shown


def test_a_team_is_promised_nothing_for_free(app: Flask) -> None:
    paid, free = {"trial_days": 7, "parallel_calls": 6}, {"price_cents": 0, "parallel_calls": 6}
    with app.app_context():
        told = [
            [{one.key for one in features(plan_of(**it), is_team=team)} for team in (False, True)]
            for it in (paid, free)
        ]
    assert [own - teams for own, teams in told] == [{"trial_days"}, {"allowance"}]


def test_without_an_allowance_there_is_no_limit_of_it(app: Flask) -> None:
    limits = {"daily_limit_nanos": 50 * CREDIT, "window": (5, 20 * CREDIT)}
    with app.app_context():
        named = [{one.key for one in features(plan_of(allowance_override_nanos=nanos, **limits))} for nanos in (0, 1)]
    assert named[1] - named[0] == {"daily_limit", "window_limit"}


def test_a_trial_says_what_it_gives_what_follows_and_how_to_pay_nothing() -> None:
    plan = plan_of(price_cents=7900, trial_days=7, allowance_override_nanos=14_500 * CREDIT)
    assert trial_offer(plan, datetime(2026, 11, 28, 14, tzinfo=UTC)) == (
        "7 days free with 3,383.3 credits, then $79 a month. Cancel before 5 December 2026 and pay nothing."
    )


def test_no_plan_of_the_seed_types_a_figure_that_a_column_knows(session: Database) -> None:
    for plan in db.session.query(Plan):
        known = {feature.text.lower() for feature in features(plan)}
        assert not known & {bullet.lower() for bullet in plan.bullets}


def test_the_first_page_shows_a_conversation_with_what_is_for_sale_at_its_price(
    client: FlaskClient, session: Database
) -> None:
    people.model("demo-dear", kind="demo", dollars_in="250", dollars_out="1000").title = "The dearest"
    session.commit()
    sample = client.get("/").text.partition("specimen")[2].partition("</section>")[0]
    assert "The dearest" in sample
    assert "72.25 credits" in sample
    session.query(AIModel).update({"is_for_sale": False})
    session.commit()
    assert "specimen" not in client.get("/").text


def test_nobody_is_told_to_start_free_where_credits_are_only_bought(client: FlaskClient, session: Database) -> None:
    told = {"/": "Start free", "/pricing": "Start free", "/signup": "Your first answer is a minute away."}
    assert all(promise in client.get(path).text for path, promise in told.items())
    session.execute(update(Plan).where(Plan.is_default).values(allowance_override_nanos=0))
    session.commit()
    pages = {path: client.get(path).text for path in told}
    assert not any(promise in pages[path] for path, promise in told.items())
    assert "No card needed to sign up." in pages["/signup"]
    Setting.put("welcome_credit", 5 * CREDIT)
    session.commit()
    assert "Start free" in client.get("/").text


def test_plans_by_the_year_alone_are_shown_to_who_asks_for_nothing(session: Database, client: FlaskClient) -> None:
    session.execute(update(Plan).where(Plan.price_cents > 0).values(interval="year"))
    session.commit()
    page = client.get("/pricing").text
    assert re.search(r"<h2 id=\"plan-\d+\">Plus</h2>", page)
    assert "Billing period" not in page
    assert '<th scope="col">Free</th>' in page


def test_a_plan_without_credits_or_packs_promises_none(session: Database, client: FlaskClient) -> None:
    free_of_both = {"allowance_override_nanos": 0, "allows_packs": False}
    session.execute(update(Plan).where(Plan.name == "Starter").values(**free_of_both))
    session.commit()
    card = client.get("/pricing").text.partition(">Starter</h2>")[2].partition("</article>")[0]
    assert ("No monthly credits" in card, "never expire" in card) == (True, False)


def test_the_titles_of_models_are_read_once_a_page(session: Database, client: FlaskClient) -> None:
    read = []
    for models in ([], ["demo-fast"]):
        session.execute(update(Plan).values(models=models))
        session.commit()
        with statements() as said:
            client.get("/pricing")
        read.append(len(said))
    assert read[1] <= read[0] + 1
