"""The overview's figures: the same as the audit's, whether the calls are added up or not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.admin import installation
from app.admin.dashboard_figures import Range, books_of
from app.admin.watchlist import at_risk, dearest, losing
from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import from_calls
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.rates import INPUT_BUCKETS
from app.models.identity.account import Account
from app.models.identity.guest_account import open_guest_account
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import add_up
from app.models.operations.outbox import OutgoingMail
from app.models.operations.refused_call import RefusalCount
from tests.admin.conftest import AdminClient
from tests.support import Database, people
from tests.support.people import CREDIT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def call(account: Account, at: datetime, cost: int, *, paid: int | None = None, **fields: Any) -> Usage:
    """A call that was settled at that moment; what is not paid is absorbed."""
    paid = cost if paid is None else paid
    price = db.session.scalars(select(ModelPrice)).first()
    usage = Usage(
        account_id=account.id, user_id=account.memberships[0].user_id, price_id=price.id, created_at=at, settled_at=at,
        day=at.date(), reserved_nanos=cost, max_output_tokens=10, cost_nanos=cost, absorbed_nanos=cost - paid,
        **{"model": "gpt-test", "state": "settled", "outcome": "done", "credits_paid_nanos": paid, "output": 7}
        | fields,
    )  # fmt: skip
    db.session.add(usage)
    return usage


@pytest.fixture
def ada(session: Database) -> Account:
    people.model(kind="demo")
    account = people.person("ada", credits=10_000 * CREDIT)
    session.flush()
    return account


@pytest.fixture
def history(ada: Account, session: Database) -> Account:
    """Calls on five days, the last of them today; one absorbed in part, one released."""
    for days in range(5):
        for number in range(days + 1):
            call(ada, NOW - timedelta(days=days, hours=number), 3 * CREDIT + number)
    call(ada, NOW - timedelta(days=2), 5 * CREDIT, paid=2 * CREDIT, model="other")
    call(
        ada,
        NOW - timedelta(days=1),
        4 * CREDIT,
        paid=0,
        state="released",
        outcome="failed",
        operation="title",
    )
    session.commit()
    return ada


def month() -> Range:
    return Range(NOW.date() - timedelta(days=29), NOW.date())


@pytest.mark.databases("sqlite", "postgresql")
def test_the_figures_are_the_audits_sums(history: Account) -> None:
    add_up(NOW)
    after = books_of(month())
    paid = sum(allowance + credits for allowance, credits in from_calls().values())
    assert after.sum("paid_nanos") == paid > 0
    cost = db.session.scalar(select(func.sum(Usage.cost_nanos)))
    absorbed = db.session.scalar(select(func.sum(Usage.absorbed_nanos)))
    assert (after.sum("cost_nanos"), after.sum("absorbed_nanos"), after.sum("calls")) == (cost, absorbed, 17)


def test_what_guests_cost_is_told_apart(history: Account, session: Database) -> None:
    open_guest_account()
    house = session.scalars(select(Account).where(Account.kind == "house")).one()
    call(house, NOW - timedelta(days=1), 2 * CREDIT)
    call(house, NOW, CREDIT)
    session.commit()
    add_up(NOW)
    books = books_of(month())
    assert (books.sum("house_nanos"), books.days[-1].house_nanos) == (3 * CREDIT, CREDIT)
    assert books.sum("cost_nanos") == session.scalar(select(func.sum(Usage.cost_nanos)))


def test_use_is_told_by_model_operation_and_plan(history: Account) -> None:
    add_up(NOW)
    by = books_of(month()).by
    assert by["model"]["other"]["cost_nanos"] == 5 * CREDIT
    assert by["operation"]["title"]["calls"] == 1
    assert by["plan"][Plan.default().id]["calls"] == 17


def test_revenue_is_what_came_in(ada: Account, session: Database) -> None:
    payment = Payment(kind="pack", state="paid", account_id=ada.id, price_cents=1000, currency="usd", worth_nanos=5)
    payment.paid_at = NOW
    session.add(payment)
    session.commit()
    books = books_of(month())
    assert (books.sum("revenue_cents"), books.days[-1].revenue_cents) == (1000, 1000)


def test_the_dearest_and_the_losing_accounts_are_named(history: Account) -> None:
    add_up(NOW)
    assert [row.id for row in dearest(month())] == [history.id]
    assert [(row.id, int(row.loss)) for row in losing(month())] == [
        (history.id, db.session.scalar(select(func.sum(Usage.cost_nanos))))
    ]


def test_an_account_that_is_refused_three_days_running_is_at_risk(ada: Account, session: Database) -> None:
    for days in (1, 2, 3):
        day = NOW.date() - timedelta(days=days)
        session.add(RefusalCount(account_id=ada.id, day=day, code="daily_limit_reached", count=2))
    session.commit()
    assert [(row[0], row[2]) for row in at_risk(NOW.date())] == [(ada.id, "refused for a limit 3 days running")]


@pytest.mark.parametrize(("this_week", "is_told"), [(0, True), (9, True), (10, False)])
def test_a_subscriber_who_uses_less_than_a_third_is_at_risk(
    ada: Account, session: Database, this_week: int, is_told: bool
) -> None:
    for days in (8, 15, 22, 29):
        call(ada, NOW - timedelta(days=days), 30 * CREDIT)
    if this_week:
        call(ada, NOW, this_week * CREDIT)
    plan = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    session.add(Subscription(account_id=ada.id, plan_id=plan.id, status="active", price_cents=2000, currency="usd"))
    session.commit()
    risks = at_risk(NOW.date())
    assert [row[2] for row in risks] == ["uses less than a third of before"] * is_told


def test_the_lists_name_models_by_their_titles(owner: AdminClient, ada: Account, session: Database) -> None:
    session.query(AIModel).filter_by(name="gpt-test").update({"title": "Test Model"})
    call(ada, NOW, CREDIT)
    session.commit()
    assert '<span title="gpt-test">Test Model</span>' in owner.get("/admin/usage/").text
    shown, hidden = (owner.get(f"/admin/usage/?flt1_model_contains={typed}").text for typed in ("test mod", "other"))
    assert ("Test Model" in shown, "Test Model</span>" in hidden) == (True, False)


def test_refusals_are_counted_by_code(app: Any, ada: Account, session: Database) -> None:
    broke = people.person("bob", plan=session.scalars(select(Plan).where(Plan.name == "Pay as you go")).one())
    key = people.api_key(broke)
    client = app.test_client()
    for _time in range(2):
        client.post("/api/chats", json={"model": "gpt-test"}, headers={"Authorization": f"Bearer {key}"})
    session.rollback()
    counted = session.scalars(select(RefusalCount)).one()
    assert (counted.account_id, counted.code, counted.count) == (broke.id, "out_of_credits", 2)


def test_the_page_and_every_csv_are_there(owner: AdminClient, history: Account) -> None:
    page = owner.get("/admin/?from=2026-11-01&to=2026-11-20")
    assert page.status_code == 200
    for name in ("days", "model", "operation", "plan", "dearest", "losing", "refusals"):
        assert owner.get(f"/admin/csv/{name}/").mimetype == "text/csv"
    assert owner.get("/admin/csv/passwords/").status_code == 404


def test_a_range_that_cannot_be_is_mended(owner: AdminClient) -> None:
    for query in ("from=x&to=y", "from=2026-12-01&to=2026-01-01", "from=0001-01-01&to=9999-12-31", "to=0001-01-01"):
        assert owner.get(f"/admin/csv/days/?{query}").status_code == 200, query


def test_a_vendors_price_that_passes_what_its_buyers_paid_for_is_an_alarm(
    owner: AdminClient, session: Database
) -> None:
    """Everything is sold at half: twice our price leaves nothing, and a little more than that a loss."""
    session.query(Plan).update({"margin_bps": 5000})
    session.query(CreditPack).update({"margin_bps": 5000})
    model = session.scalars(select(AIModel).where(AIModel.name == "gpt-4o")).one()
    listed = session.scalars(select(ModelPrice).where(ModelPrice.model_id == model.id)).first()
    vendor = listed.uncached_input_nanos, listed.output_nanos
    assert "gpt-4o:" not in owner.get("/admin/").text
    for part, alarm in ((60, False), (40, True)):
        figures = {f"{bucket}_nanos": vendor[0] * part // 100 for bucket in INPUT_BUCKETS}
        figures |= {"output_nanos": vendor[1] * part // 100}
        price = ModelPrice(model_id=model.id, effective_from=utcnow(), **figures)
        price.approve(at=utcnow())
        session.add(price)
        session.commit()
        page = owner.get("/admin/").text
        assert ("gpt-4o: its vendor charges 250% of your price" in page) == alarm
    assert "leaves a margin of -25%" in page


def test_the_overview_says_what_is_missing_from_the_installation(
    app: Flask, owner: AdminClient, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'role="alert"' not in owner.get("/admin/").text
    for name, value in {"MAIL_BACKEND": "file", "STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_WEBHOOK_SECRETS": []}.items():
        monkeypatch.setitem(app.config, name, value)
    OutgoingMail.post("lost", "ada@example.com", "welcome", {}).attempts = OutgoingMail.RETRIES.most
    session.commit()
    page = owner.get("/admin/").text
    assert [said in page for said in ("STRIPE_WEBHOOK_SECRET isn", "1 email couldn", "No email is sent")] == [
        True,
        True,
        False,
    ]
    with app.app_context():
        monkeypatch.setitem(app.config, "APP_ENV", "production")
        assert next(installation.alarms()).startswith("No email is sent")
