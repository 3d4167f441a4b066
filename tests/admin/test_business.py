"""The founder's figures by plan and pack, against the days before; the search over everything; rows retired at once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.admin import business, watchlist
from app.admin.dashboard_figures import Range, books_of
from app.extensions import db
from app.models.billing.payment import Payment
from app.models.billing.redemption import Redemption
from app.models.billing.refund import Dispute, Refund
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient
from tests.admin.test_dashboard import call
from tests.support import Database, people
from tests.support.people import CREDIT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WITHIN = Range(NOW.date() - timedelta(days=29), NOW.date())


@pytest.fixture
def sold(session: Database) -> Account:
    """Ada pays $20 a month since October and bought a pack, of which $5 went back; bob left; carol is new and free."""
    people.model(kind="demo")
    plus, pack = Plan(name="Plus", price_cents=2000), CreditPack(name="5,000 credits", price_cents=1000)
    session.add_all([plus, pack])
    session.flush()
    ada, bob = people.person("ada", plan=plus), people.person("bob", plan=plus)
    people.person("carol").created_at = NOW
    ada.created_at, bob.created_at = NOW, NOW - timedelta(days=80)
    for account, ended in ((ada, None), (bob, NOW - timedelta(days=3))):
        running = Subscription(account_id=account.id, plan=plus, stripe_id=f"sub_{account.id}", price_cents=2000)
        running.currency = "usd"
        running.created_at, running.ended_at = NOW - timedelta(days=40), ended
        running.status = "canceled" if ended else "active"
        session.add(running)
    for days, fields in (
        (2, {"kind": "invoice", "plan_id": plus.id, "price_cents": 2000, "number": "INV-7"}),
        (33, {"kind": "invoice", "plan_id": plus.id, "price_cents": 2000}),
        (1, {"kind": "pack", "pack_id": pack.id, "price_cents": 1000}),
    ):
        worth = {"worth_nanos": 5000 * CREDIT} if fields["kind"] == "pack" else {}
        paid_at = NOW - timedelta(days=days)
        session.add(Payment(account_id=ada.id, state="paid", currency="usd", paid_at=paid_at, **worth, **fields))
    pay_back(session.query(Payment).filter_by(kind="pack").one(), 500)
    call(ada, NOW - timedelta(days=1), 3_000 * CREDIT)
    session.commit()
    return ada


def pay_back(payment: Payment, cents: int) -> None:
    """Today, of a payment of any day."""
    payment.refunded_cents = cents
    refund = Refund(payment_id=payment.id, account_id=payment.account_id, amount_cents=cents, status="succeeded")
    refund.refunded_at = NOW
    db.session.add(refund)
    db.session.commit()


@pytest.mark.databases("sqlite", "postgresql")
def test_plans_and_packs_say_what_they_leave(sold: Account) -> None:
    books = books_of(WITHIN)
    plus, pack = (
        next(line for line in business.sold_plans(books) if line.payments),
        business.sold_packs(books)[0],
    )
    assert (plus.name, plus.revenue_cents, plus.fee_cents, plus.margin_cents) == (
        "Plus",
        2000,
        88,
        2000 - 88 - 300,
    )
    assert (pack.name, pack.revenue_cents, pack.fee_cents, pack.margin_cents) == (
        "5,000 credits",
        500,
        59,
        -59,
    )
    for payment in db.session.query(Payment).filter(Payment.paid_at > NOW - timedelta(days=3)):
        lost = {"stripe_id": f"dp_{payment.id}", "payment_id": payment.id, "account_id": payment.account_id}
        db.session.add(Dispute(status="lost", **lost))
    db.session.commit()
    lines = [*business.sold_plans(books), *business.sold_packs(books)]
    assert [line.revenue_cents for line in lines if line.payments] == [0, 0]
    assert [int(row.revenue_cents) for row in watchlist.losing(WITHIN)] == [0]


@pytest.mark.databases("sqlite", "postgresql")
def test_what_versions_of_a_plan_used_and_brought_is_told_apart(sold: Account, session: Database) -> None:
    bob = session.query(Account).filter_by(name="Bob").one()
    bob.plan = sold.plan.new_version()
    call(bob, NOW - timedelta(days=1), 2_000 * CREDIT)
    session.query(CreditPack).filter_by(name="5,000 credits").one().new_version()
    session.commit()
    books = books_of(WITHIN)
    lines = {line.name: (line.payments, line.cost_nanos // CREDIT) for line in business.sold_plans(books)}
    assert lines == {f"Plus (legacy, number {sold.plan_id})": (1, 3_000), "Plus": (0, 2_000)}
    assert [line.name[:21] for line in business.sold_packs(books)] == ["5,000 credits (legacy"]


def test_a_range_is_measured_and_so_are_the_days_before(sold: Account) -> None:
    now, then = business.figures_of(WITHIN), business.figures_of(business.before(WITHIN))
    assert (now.revenue_cents, now.arpu_cents, now.mrr_cents) == (2500, 2500, 2000)
    assert (now.churn, now.free_to_paid) == (50, 50)
    assert (then.revenue_cents, then.mrr_cents, then.churn, then.free_to_paid) == (2000, 4000, None, None)


def test_what_is_paid_back_later_is_of_its_own_days_in_every_figure(sold: Account, session: Database) -> None:
    pay_back(session.query(Payment).filter(Payment.paid_at < WITHIN.begins).one(), 2000)
    ranges = WITHIN, business.before(WITHIN)
    assert [business.figures_of(one).revenue_cents for one in ranges] == [500, 2000]
    assert [books_of(one).sum("revenue_cents") for one in ranges] == [500, 2000]


@pytest.mark.databases("sqlite", "postgresql")
def test_what_a_code_takes_off_every_invoice_is_not_recurring(sold: Account, session: Database) -> None:
    running = session.query(Subscription).filter_by(account_id=sold.id).one()
    for duration, months, mrr in (("forever", None, 1500), ("repeating", 3, 2000)):
        code = PromotionCode(code=duration, kind="discount", percent_bps=2500, duration=duration, months=months)
        session.add(code)
        session.flush()
        running.redemption = Redemption(code_id=code.id, account_id=sold.id, user_id=sold.owner.id, state="used")
        session.commit()
        assert business.figures_of(WITHIN).mrr_cents == mrr


def test_a_trial_that_ends_is_no_lost_subscription(sold: Account, session: Database) -> None:
    for number in range(3):
        tried = Subscription(account_id=people.person(f"dora{number}").id, plan=sold.plan, price_cents=2000)
        tried.stripe_id, tried.currency, tried.status = f"sub_try{number}", "usd", "canceled"
        tried.created_at, tried.trial_end = WITHIN.begins - timedelta(days=1), WITHIN.begins + timedelta(days=13)
        tried.ended_at = tried.trial_end
        session.add(tried)
    session.commit()
    assert business.figures_of(WITHIN).churn == 50


@pytest.mark.databases("sqlite", "postgresql")
def test_one_search_opens_what_it_finds(owner: AdminClient, sold: Account) -> None:
    for typed, page in (("INV-7", "/admin/payment/"), ("ada@example.com", None), (f"sub_{sold.id}", None)):
        answer = owner.get(f"/admin/search/?q={typed}")
        if page:
            assert answer.location.startswith(page)
        elif "@" in typed:
            assert ("/admin/user/details/" in answer.text, "/admin/account/details/" in answer.text) == (
                True,
                True,
            )
        else:
            assert "No matches" in answer.text
    listed = owner.get("/admin/payment/?flt2_account_equals=ADA").text
    assert (
        f">{sold.name}<" in listed,
        "INV" in owner.get("/admin/payment/?flt2_account_equals=bob").text,
    ) == (
        True,
        False,
    )


def test_the_export_of_payments_says_when_each_was_paid(owner: AdminClient, sold: Account) -> None:
    heading, *rows = owner.get("/admin/payment/export/csv/", buffered=True).text.splitlines()
    assert heading.endswith("Refunded,To review,Paid,Tax,Currency")
    assert sum(f"{NOW - timedelta(days=2):%Y-%m-%d %H:%M},$0.00,usd" in row for row in rows) == 1


def test_ticked_rows_are_retired_and_the_default_stays(owner: AdminClient, sold: Account, session: Database) -> None:
    plans = list(session.scalars(select(Plan)))
    owner.post("/admin/plan/retire/", id=[str(plan.id) for plan in plans])
    session.rollback()
    states = {plan.name: plan.status for plan in plans}
    assert (states["Plus"], [plan.status for plan in plans if plan.is_default]) == ("legacy", ["active"])
    assert "retire" in set(session.scalars(select(AdminChange.action)))
