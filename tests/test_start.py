"""`flask start`: four answers become plans and packs, and three months of them are shown."""

from collections.abc import Sequence

import pytest
from flask import Flask

from app.catalog.projection import months_of, usual_cost
from app.models.base import NANOS_PER_CENT
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.setting import Setting
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def started(app: Flask, *answers: str, options: Sequence[str] = ()) -> str:
    done = app.test_cli_runner().invoke(args=["start", *options], input="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    return done.output


def test_four_answers_are_what_is_sold(app: Flask, session: Database) -> None:
    said = started(app, "Acme Writer", "$29", "60 %", "300")
    sold = [(plan.name, plan.price_cents, plan.allowance_nanos // CREDIT) for plan in Plan.on_offer()]
    assert sold == [("Free", 0, 300), ("Acme Writer", 2900, 11_600)]
    assert [(pack.price_cents, pack.worth_nanos // CREDIT) for pack in CreditPack.on_offer()] == [
        (1450, 5800),
        (5800, 23_200),
    ]
    assert session.query(Plan).filter_by(name="Plus").one().status == "legacy"
    assert Setting.get("brand_name") == "Acme Writer"
    assert "Acme Writer: $29.00 a month, 11,600 credits." in said


def test_what_is_left_is_what_was_paid_less_fees_and_models(app: Flask, session: Database) -> None:
    said = started(app, "Acme", "20", "50", "0")
    plan, packs = Plan.on_offer()[-1], CreditPack.on_offer()
    months = months_of(plan, packs[0], Plan.default())
    assert f"{sum(one.left for one in months) / 100:,.2f} left" in said
    assert months_of(plan, packs[0], Plan.default()) == months
    light = 2 * 30 * usual_cost()
    heavy = 120 * 30 * usual_cost()
    few = min(light, plan.allowance_nanos)
    bought = -(-max(0, heavy - plan.allowance_nanos) // packs[0].worth_nanos)
    assert light < plan.allowance_nanos < heavy
    assert months[0].paid == 100 * 2000 + 20 * bought * packs[0].price_cents + extra(plan, packs[0])
    assert months[0].cost >= 50 * few // NANOS_PER_CENT
    assert months[0].fees >= 100 * (58 + 30)
    assert all(month.left > 0 for month in months)


def extra(plan: Plan, pack: CreditPack) -> int:
    """What those who use it now and then buy beside."""
    missing = max(0, 15 * 30 * usual_cost() - plan.allowance_nanos)
    return 30 * -(-missing // pack.worth_nanos) * pack.price_cents


def test_credits_only_is_a_free_plan_with_packs(app: Flask, session: Database) -> None:
    started(app, "Acme", "0", "50", "0")
    assert [(plan.name, plan.allows_packs, plan.allowance_nanos) for plan in Plan.on_offer()] == [("Free", True, 0)]


def test_an_answer_that_cannot_be_is_asked_again(app: Flask, session: Database) -> None:
    said = started(app, "Acme", "many", "20", "100", "50", "-1", "10")
    assert said.count("Error:") == 3
    assert Plan.default().allowance_nanos == 10 * CREDIT


def test_a_currency_without_decimals_is_asked_for_and_shown_without(app: Flask, session: Database) -> None:
    said = started(app, "Acme", "¥3,000", "50", "0", options=("--currency", "jpy", "--rate", "0.0066"))
    packs = [(pack.currency, pack.price_cents) for pack in CreditPack.on_offer()]
    assert packs == [("jpy", 1500), ("jpy", 6000)]
    assert "Acme: ¥3,000 a month, 9,900 credits." in said
    assert "in JPY" in said
