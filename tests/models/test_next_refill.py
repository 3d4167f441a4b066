"""What is promised to come next is what comes: `next_refill` against the refill itself, under a moving clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask, g
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import NextRefill, next_refill, refill_if_due
from app.models.billing.ledger import LedgerEntry
from app.models.billing.stripe_objects import InvoiceState, LineState, SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import follow
from app.models.catalog.plan import Plan
from app.models.identity.account import Account, anniversary
from tests.conftest import IS_LONG
from tests.support.people import CREDIT, actor, person

BIRTHDAYS = (datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 3, 5, 23, 59, tzinfo=UTC))
UNPAID_PLANS = ("Free", "Pay as you go", "Pro")
PAID_PLANS = ("Starter", "Plus", "Plus (yearly)")
CHANGES = (
    "none",
    "cancelled",
    "cancelled for Pay as you go",
    "downgraded",
    "past due",
    "ended",
    "unpaid",
    "retired",
)
SECOND = timedelta(seconds=1)


@dataclass
class World:
    """One account, and Stripe, which renews, ends or downgrades its subscription when the period is over."""

    account: Account
    change: str = "none"
    subscription: Subscription | None = None
    state: SubscriptionState | None = None
    invoices: list[InvoiceState] = field(default_factory=list)

    def subscribe(self, plan: str, trial_days: int) -> None:
        now, sold = utcnow(), plan_named(plan)
        self.subscription = Subscription.begin(actor(self.account), self.account, sold, trial_days=trial_days)
        end = now + timedelta(days=trial_days) if trial_days else self.end_of(sold, now)
        status, trial_start = ("trialing", now) if trial_days else ("active", None)
        trial_end = end if trial_days else None
        self.state = SubscriptionState(
            "sub_1",
            status,
            "cus_1",
            "si_1",
            f"price_{plan}",
            now,
            end,
            trial_start=trial_start,
            trial_end=trial_end,
        )
        self.sell(sold, now, end) if not trial_days else self.follow()

    def make(self, change: str) -> None:
        """What is asked of Stripe; it acts now or at the period's end."""
        self.change, chosen = change, str(plan_named("Pay as you go").id)
        if change.startswith("cancelled"):
            metadata = {"next_plan_id": chosen} if "Pay" in change else {}
            self.follow(cancel_at_period_end=True, metadata=metadata)
        if change == "downgraded":
            self.follow(next_price_ids=("price_Starter",))
        if change == "retired":
            plan_named(self.plan.name).status = "inactive"
        if change == "ended":
            self.follow(status="canceled", ended_at=utcnow())
        if change == "unpaid":
            self.follow(status="unpaid")

    def live_until(self, moment: datetime) -> None:
        """Let that moment come: first what Stripe does, then the gate."""
        with time_machine.travel(moment, tick=False):
            while self.is_over(moment):
                self.end_period()
            refill_if_due(self.account, moment)
            db.session.flush()

    def is_over(self, moment: datetime) -> bool:
        is_running = self.state is not None and self.state.status in ("active", "trialing")
        return is_running and moment >= self.state.period_end

    def end_period(self) -> None:
        start = self.state.period_end
        if self.change.startswith(("cancelled", "retired")):
            self.follow(status="canceled", ended_at=start)
            return
        plan = plan_named("Starter") if self.change == "downgraded" else self.plan
        end = self.end_of(plan, start)
        moved = {
            "price_id": f"price_{plan.name}",
            "next_price_ids": (),
            "period_start": start,
            "period_end": end,
        }
        if self.change == "past due":
            self.follow(status="past_due", **moved)
            return
        self.state = replace(self.state, status="active", trial_start=None, trial_end=None, **moved)
        self.sell(plan, start, end)

    def pay(self) -> None:
        """The open invoice."""
        self.state = replace(self.state, status="active")
        self.sell(self.plan, self.state.period_start, self.state.period_end)

    def sell(self, plan: Plan, start: datetime, end: datetime) -> None:
        line = LineState(f"price_{plan.name}", plan.price_cents, False, start, end)
        key, cents = f"in_{len(self.invoices)}", plan.price_cents
        self.invoices.append(
            InvoiceState(key, "sub_1", "", "paid", cents, cents, "usd", start, start, f"pi_{key}", lines=(line,))
        )
        self.follow()

    def follow(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)
        follow(self.subscription, self.account, self.state, self.invoices)
        db.session.flush()

    @property
    def plan(self) -> Plan:
        return self.subscription.plan

    def end_of(self, plan: Plan, start: datetime) -> datetime:
        return anniversary(start, 12 if plan.interval == "year" else 1)

    def refills(self) -> int:
        """How many refills there are that gave anything."""
        return db.session.query(LedgerEntry).filter_by(account_id=self.account.id, kind="refill").count()

    def edges(self, now: datetime) -> list[datetime]:
        """When anything could come within three months: a second before, and then."""
        starts = {self.account.created_at, self.account.billing_anchor}
        starts |= {self.state.period_end} if self.state else set()
        edges = {anniversary(start, months) for start in starts for months in range(16)}
        near = (edge for edge in edges if now < edge < now + timedelta(days=95))
        return sorted({moment for edge in near for moment in (edge - SECOND, edge)})


def plan_named(name: str) -> Plan:
    return db.session.query(Plan).filter_by(name=name).one()


def what_comes(world: World, now: datetime) -> tuple[datetime, int, str] | None:
    """The next refill that gives anything, found by letting time pass."""
    before = world.refills()
    for moment in world.edges(now):
        world.live_until(moment)
        if world.refills() > before and world.account.allowance_nanos:
            return moment, world.account.allowance_nanos, world.account.plan.name
        before = world.refills()
    return None


def promised(comes: NextRefill | None) -> tuple[datetime | None, int, str] | None:
    return comes and (comes.at, comes.amount, comes.plan.name)


def born(birthday: datetime, kind: str, plan: str, *, is_verified: bool) -> World:
    """An account of that day, on that plan without payment, which has been through the gate."""
    db.session.rollback()
    g.pop("settings", None)
    for one in db.session.query(Plan):
        one.stripe_price_id = f"price_{one.name}"
    with time_machine.travel(birthday, tick=False):
        account = person("ada", plan=plan_named(plan))
        account.kind, account.period_end = kind, birthday
        account.stripe_customer_id = "cus_1"
        if not is_verified:
            account.owner.email_verified_at = None
        db.session.flush()
        refill_if_due(account)
        return World(account)


@pytest.fixture
def in_the_app(app: Flask, require_verified_email: Callable[..., None]) -> Iterator[None]:
    require_verified_email()
    with app.app_context():
        yield


EACH = settings(
    max_examples=60 if IS_LONG else 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@EACH
@given(
    birthday=st.sampled_from(BIRTHDAYS),
    kind=st.sampled_from(["personal", "team"]),
    plan=st.sampled_from(UNPAID_PLANS),
    is_verified=st.booleans(),
    hours=st.integers(0, 24 * 70),
)
def test_without_a_subscription_what_is_promised_comes(
    in_the_app: None, birthday: datetime, kind: str, plan: str, is_verified: bool, hours: int
) -> None:
    world, now = born(birthday, kind, plan, is_verified=is_verified), birthday + timedelta(hours=hours)
    world.live_until(now)
    assert promised(next_refill(world.account, now)) == what_comes(world, now)


@EACH
@given(
    birthday=st.sampled_from(BIRTHDAYS),
    kind=st.sampled_from(["personal", "team"]),
    plan=st.sampled_from(PAID_PLANS),
    change=st.sampled_from([change for change in CHANGES if change != "past due"]),
    trial_days=st.sampled_from([0, 0, 14]),
    hours=st.tuples(st.integers(1, 900), st.integers(0, 700)),
)
def test_with_a_subscription_what_is_promised_comes(
    in_the_app: None,
    birthday: datetime,
    kind: str,
    plan: str,
    change: str,
    trial_days: int,
    hours: tuple[int, int],
) -> None:
    begins = birthday + timedelta(hours=hours[0])
    world, now = born(birthday, kind, "Free", is_verified=True), begins + timedelta(hours=hours[1])
    world.live_until(begins)
    with time_machine.travel(begins, tick=False):
        world.subscribe(plan, trial_days if kind == "personal" else 0)
    world.live_until(now)
    with time_machine.travel(now, tick=False):
        world.make(change)
    assert promised(next_refill(world.account, now)) == what_comes(world, now)


@EACH
@given(
    birthday=st.sampled_from(BIRTHDAYS),
    plan=st.sampled_from(["Starter", "Plus"]),
    hours=st.integers(24 * 32, 24 * 50),
)
def test_past_due_nothing_comes_until_the_invoice_is_paid_and_then_at_once(
    in_the_app: None, birthday: datetime, plan: str, hours: int
) -> None:
    world, now = born(birthday, "personal", "Free", is_verified=True), birthday + timedelta(hours=hours)
    with time_machine.travel(birthday, tick=False):
        world.subscribe(plan, 0)
        world.make("past due")
    world.live_until(now)
    comes, before = next_refill(world.account, now), world.refills()
    assert (comes.at, comes.needs_payment, comes.plan.name) == (None, True, plan)
    assert world.refills() == before
    with time_machine.travel(now, tick=False):
        world.pay()
    assert (world.refills(), world.account.allowance_nanos) == (before + 1, comes.amount)


def test_a_year_that_was_paid_promises_its_months_and_then_its_invoice(in_the_app: None) -> None:
    world, begins = born(BIRTHDAYS[1], "personal", "Free", is_verified=True), BIRTHDAYS[1]
    with time_machine.travel(begins, tick=False):
        world.subscribe("Plus (yearly)", 0)
    comes = [next_refill(world.account, begins)]
    world.live_until(anniversary(begins, 11))
    comes.append(next_refill(world.account, anniversary(begins, 11)))
    assert [(one.at, one.amount, one.needs_payment) for one in comes] == [
        (anniversary(begins, 1), 10_000 * CREDIT, False),
        (anniversary(begins, 12), 10_000 * CREDIT, True),
    ]


def test_a_closed_account_is_promised_nothing(in_the_app: None) -> None:
    world = born(BIRTHDAYS[0], "personal", "Free", is_verified=True)
    world.account.close()
    assert next_refill(world.account, BIRTHDAYS[0]) is None
