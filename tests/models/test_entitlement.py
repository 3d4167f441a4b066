"""What Stripe tells of a subscription becomes: invoices in the order of their payment, trials, a year by the month."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy.orm import Session, scoped_session

from app.extensions import db
from app.models.entitlement import follow
from app.models.payment import Payment
from app.models.plan import Plan
from app.models.refill import refill_if_due
from app.models.stripe_state import InvoiceState, LineState, RefundState, SubscriptionState
from app.models.subscription import Subscription
from app.models.taking_back import follow_refunds
from tests.support.people import CREDIT, caller, person

BEGIN = datetime(2026, 1, 10, 12, tzinfo=UTC)


def month(number: int) -> datetime:
    return BEGIN.replace(month=1 + number)


@pytest.fixture(autouse=True)
def in_january() -> Iterator[None]:
    with time_machine.travel(BEGIN, tick=False):
        yield


class Deal:
    """ada's subscription to `plan`, and what Stripe says of it."""

    def __init__(self, plan: str, trial_days: int = 0) -> None:
        for one in db.session.query(Plan):
            one.stripe_price_id = f"price_{one.name}"
        self.plan = db.session.query(Plan).filter_by(name=plan).one()
        self.account = person("ada")
        self.account.stripe_customer_id = "cus_1"
        db.session.flush()
        self.subscription = Subscription.begin(
            caller(self.account), self.account, self.plan, trial_days=trial_days
        )
        self.state = SubscriptionState(
            "sub_1", "active", "cus_1", "si_1", f"price_{plan}", month(0), month(1)
        )

    def invoice(
        self, number: int, paid_at: datetime, created_at: datetime, end: datetime | None = None
    ) -> InvoiceState:
        """Of the period that begins in that month."""
        start, cents = month(number), self.plan.price_cents
        line = LineState(self.state.price_id, cents, False, start, end or month(number + 1))
        key = f"in_{number}"
        return InvoiceState(
            key, "sub_1", "", "paid", cents, cents, "usd", created_at, paid_at, f"pi_{key}", lines=(line,)
        )

    def follow(self, *invoices: InvoiceState, **state: object) -> None:
        self.state = replace(self.state, **state)
        follow(self.subscription, self.account, self.state, invoices)
        db.session.flush()

    @property
    def allowance(self) -> int:
        return self.account.allowance_nanos // CREDIT


@pytest.fixture
def deal(session: "scoped_session[Session]") -> Deal:
    return Deal("Plus")


def test_invoices_count_in_the_order_in_which_they_were_paid(deal: Deal) -> None:
    late = deal.invoice(1, month(2) + timedelta(days=3), month(1))
    deal.follow(deal.invoice(0, month(0), month(0)), late, deal.invoice(2, month(2), month(2)))
    assert deal.allowance == 20_000


def test_a_trial_is_as_long_as_it_was_sold(session: "scoped_session[Session]") -> None:
    deal = Deal("Plus", trial_days=6)
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 2_000


def test_a_trial_that_began_at_stripe_is_as_long_as_stripe_says(deal: Deal) -> None:
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=BEGIN + timedelta(days=15))
    assert deal.allowance == 5_000


def test_an_upgrade_in_the_trial_leaves_used_what_was_used(session: "scoped_session[Session]") -> None:
    deal = Deal("Plus", trial_days=15)
    trial = {"status": "trialing", "trial_start": BEGIN, "trial_end": BEGIN + timedelta(days=15)}
    deal.follow(**trial)
    deal.account.allowance_nanos -= 3_000 * CREDIT
    deal.follow(**trial, price_id="price_Pro")
    pro = deal.subscription.plan.allowance_nanos // CREDIT
    assert (pro > 10_000, deal.allowance) == (True, pro // 2 - 3_000)


def test_a_refund_of_a_year_takes_its_share_of_the_months_that_were_given(
    session: "scoped_session[Session]",
) -> None:
    deal = Deal("Plus, by the year")
    deal.follow(
        deal.invoice(0, BEGIN, BEGIN, end=BEGIN.replace(year=2027)), period_end=BEGIN.replace(year=2027)
    )
    refill_if_due(deal.account, month(1))
    refill_if_due(deal.account, month(2))
    year = Payment.last_period_of(deal.subscription.id)
    assert year.worth_nanos == 3 * deal.plan.allowance_nanos
    follow_refunds(year, deal.account, [RefundState("re_1", year.price_cents // 2, "succeeded", month(2))])
    assert year.refund_taken_nanos == 3 * deal.plan.allowance_nanos // 2
