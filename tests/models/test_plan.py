"""What a purchase is worth, and what the database refuses to sell. billing-rules.md 2 and 7."""

import pytest
from sqlalchemy.exc import IntegrityError

from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.worth import worth_of
from app.models.metering.refusal import PricingError
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = [
    pytest.mark.databases("sqlite", "postgresql", short="in turns"),
    pytest.mark.usefixtures("session"),
]


@pytest.mark.parametrize(
    ("price", "surcharge", "margin", "credits"),
    [
        (2000, 0, 5000, 10_000),
        (2000, 1000, 5000, 5_000),
        (1000, 0, 5000, 5_000),
        (20_000, 2000, 4000, 108_000),
    ],
)
def test_a_purchase_is_worth_its_price_less_surcharge_and_margin(
    price: int, surcharge: int, margin: int, credits: int
) -> None:
    assert worth_of(price, surcharge, margin) == credits * CREDIT


@pytest.mark.parametrize(
    ("price", "surcharge", "margin"), [(10, 11, 0), (10, 0, 10_000), (-1, 0, 0), (1, -1, 0), (1, 0, -1)]
)
def test_an_impossible_worth_is_refused_by_name(price: int, surcharge: int, margin: int) -> None:
    with pytest.raises(PricingError, match=r"surcharge|margin|price"):
        worth_of(price, surcharge, margin)


def test_a_yearly_plan_gives_a_twelfth_of_its_worth_each_month() -> None:
    plan = Plan(price_cents=10_000, surcharge_cents=0, margin_bps=5000, interval="year")
    assert plan.allowance_nanos == 4_166_666_667


def test_an_allowance_set_outright_stands_above_the_computed_one() -> None:
    assert Plan(price_cents=2000, surcharge_cents=0, margin_bps=0, allowance_override_nanos=7).allowance_nanos == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "retired"},
        {"price_cents": -1},
        {"surcharge_cents": 1},
        {"margin_bps": 10_000},
        {"allowance_override_nanos": -1},
        {"daily_limit_nanos": -1},
        {"interval": "week"},
        {"parallel_calls": 0},
        {"is_default": True},
        {"is_default": True, "status": "legacy"},
        {"is_default": True, "price_cents": 100},
    ],
)
def test_the_database_refuses_a_plan_that_cannot_be(session: Database, wrong: dict[str, object]) -> None:
    session.add(Plan(name="Wrong", **wrong))
    with pytest.raises(IntegrityError):
        session.flush()


@pytest.mark.parametrize("status", ["legacy", "inactive"])
def test_the_default_plan_stays_active(session: Database, status: str) -> None:
    Plan.default().status = status
    with pytest.raises(IntegrityError):
        session.flush()


def test_a_new_version_takes_the_place_of_the_old_one(session: Database) -> None:
    old = session.query(Plan).filter_by(name="Plus").one()
    old.lock_terms()
    new = old.new_version()
    session.flush()

    assert (old.status, new.status, new.replaces_id) == ("legacy", "active", old.id)
    assert (new.price_cents, new.bullets, new.terms_locked_at) == (old.price_cents, old.bullets, None)
    assert new in Plan.on_offer()
    assert old not in Plan.on_offer()


def test_the_four_ways_to_charge_are_seeded(session: Database) -> None:
    plans = {plan.name: plan for plan in Plan.on_offer()}

    assert not plans["Starter"].allows_packs
    assert plans["Starter"].allowance_nanos == 5_000 * CREDIT
    assert plans["Pay as you go"].allows_packs
    assert plans["Pay as you go"].allowance_nanos == 0
    assert plans["Plus"].allows_packs
    assert plans["Plus"].allowance_nanos == 10_000 * CREDIT
    assert [plans[name].price_cents for name in ("Starter", "Pro", "Enterprise")] == [1000, 10_000, 20_000]
    assert [plan.name for plan in Plan.on_offer() if plan.is_popular] == ["Pro"]
    assert Plan.default().daily_limit_nanos == 50 * CREDIT
    assert [pack.worth_nanos // CREDIT for pack in CreditPack.on_offer()] == [5_000, 13_000, 54_000]


def test_the_seeds_are_in_order_of_price_and_no_pack_beats_every_plan() -> None:
    plans, packs = Plan.on_offer(), CreditPack.on_offer()
    for sold in (plans, packs):
        assert [one.price_cents for one in sold] == sorted(one.price_cents for one in sold)
        assert len({one.name for one in sold}) == len(sold)
    monthly = [plan for plan in plans if plan.interval == "month" and plan.price_cents]
    tiers = [plan.credits_per_dollar for plan in monthly]
    assert tiers == sorted(tiers)
    worth = [pack.credits_per_dollar for pack in packs]
    assert worth == sorted(set(worth))
    assert worth[-1] < tiers[-1]
    for pack in packs:
        same = [plan.credits_per_dollar for plan in plans if plan.price_cents == pack.price_cents]
        assert all(each >= pack.credits_per_dollar for each in same)
