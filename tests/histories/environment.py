"""The account that a history is about, its clock, and what must be so after each step."""

from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.extensions import db
from app.models.billing.audit import audit
from app.models.billing.call_audit import CALL_CHECKS, audit_calls
from app.models.billing.stripe_objects import InvoiceState, RefundState
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.reservation import Reservation
from tests.histories.oracle import Book, Offer, anniversary_after
from tests.support.people import CREDIT, model, person

PAID_PLANS = ("Starter", "Plus", "Pro")
BIRTHDAYS = st.sampled_from(["2026-01-31T12:00", "2026-02-27T23:59:58", "2027-12-31T23:59:59", "2028-02-29T00:00"])


class Stage(RuleBasedStateMachine):
    """One account: `book` is what the rules say, the database what the models did. Nothing is ever committed."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: Any = None

    @precondition(lambda self: self.clock is None)
    @rule(birthday=BIRTHDAYS)
    def open(self, birthday: str) -> None:
        self.now = datetime.fromisoformat(birthday).replace(tzinfo=UTC)
        self.traveller = time_machine.travel(self.now, tick=False)
        self.clock = self.traveller.start()
        self.reservations: dict[int, Reservation] = {}
        self.invoices: dict[str, InvoiceState] = {}
        self.unpaid: dict[str, InvoiceState] = {}
        self.refunds: dict[str, list[RefundState]] = {}
        self.attempts: list[int] = []
        self.numbers = 0
        self.was_put_back = False
        self.set_the_stage()
        free = self.offers["Free"]
        self.book = Book(free, free, self.now, self.now, self.now.date(), self.now)
        self.book.daily_limit, self.book.window = free.daily_limit, free.window

    def set_the_stage(self) -> None:
        self.offered = model("m", dollars_in="25", dollars_out="100")
        self.price = AIModel.to_sell("m", self.now)[1]
        plans = {plan.name: plan for plan in db.session.query(Plan)}
        for name in PAID_PLANS:
            plans[name].stripe_price_id = f"price_{name}"
        plans["Plus"].daily_limit_nanos = 900 * CREDIT
        for name, hours, credits in (("Free", 5, 30), ("Plus", 7, 400)):
            plans[name].window_hours, plans[name].window_limit_nanos = hours, credits * CREDIT
        account = person("ada")
        account.billing_anchor = account.period_start = account.period_end = account.created_at
        account.stripe_customer_id = "cus_1"
        db.session.flush()
        self.account_id, self.plans = account.id, plans
        self.offers = {name: offer_of(plan) for name, plan in plans.items()}

    def teardown(self) -> None:
        if self.clock is not None:
            self.traveller.stop()
            self.every_call_is_explained()
        db.session.rollback()
        db.session.expire_all()

    def every_call_is_explained(self) -> None:
        """By its buckets and its price always; who paid it, unless the clock was put back."""
        db.session.flush()
        findings = audit_calls().all()
        assert [f for f in findings if not self.was_put_back or f.check in CALL_CHECKS] == []

    @property
    def account(self) -> Account:
        return Account.locked(self.account_id)

    def name(self, kind: str) -> str:
        self.numbers += 1
        return f"{kind}_{self.numbers}"

    def go_to(self, moment: datetime) -> None:
        self.now = moment
        self.clock.move_to(moment, tick=False)
        self.book.now = moment

    @precondition(lambda self: self.clock is not None)
    @rule(minutes=st.integers(1, 3000))
    def time_passes(self, minutes: int) -> None:
        self.go_to(self.now + timedelta(minutes=minutes))

    @precondition(lambda self: self.clock is not None)
    @rule(seconds=st.sampled_from([-1, 0, 1]), edge=st.sampled_from(["window", "day", "month", "anniversary"]))
    def an_edge_of_time_comes(self, edge: str, seconds: int) -> None:
        tomorrow = self.now.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        first = self.now.replace(day=1, hour=0, minute=0, second=0)
        next_one = anniversary_after(self.book.created, 1 + months_lived(self.book.created, self.now))
        window = self.now.replace(minute=0, second=0) + timedelta(hours=5 - self.now.hour % 5)
        moments = {"window": min(window, tomorrow), "day": tomorrow, "anniversary": next_one}
        moments["month"] = anniversary_after(first, 1)
        moment = moments[edge] + timedelta(seconds=seconds)
        if moment > self.now:
            self.go_to(moment)

    @precondition(lambda self: self.clock is not None)
    @rule(seconds=st.integers(1, 7200))
    def the_clock_is_put_back(self, seconds: int) -> None:
        self.was_put_back = True
        self.go_to(max(self.book.created, self.now - timedelta(seconds=seconds)))

    @invariant()
    def the_models_say_what_the_rules_say(self) -> None:
        if self.clock is None:
            return
        db.session.flush()
        db.session.expire_all()
        account_state = AccountState.load(self.account_id)
        expected = (self.book.allowance, self.book.credits, self.book.reserved, len(self.book.calls))
        assert (
            account_state.allowance,
            account_state.credits,
            account_state.reserved,
            account_state.running_calls,
        ) == expected
        today = account_state.used_on(self.now), account_state.absorbed_on(self.now)
        assert today == (self.book.used, self.book.absorbed)
        assert account_state.balance(self.now).available == self.book.available()
        assert (account_state.plan_name, account_state.frozen_at is not None) == (
            self.book.offer.name,
            self.book.is_frozen,
        )
        assert account_state.period_end == self.book.period_end
        assert list(audit()) == []


def offer_of(plan: Plan) -> Offer:
    """The plan as the rules need it; its worth is computed here again."""
    worth = (plan.price_cents - plan.surcharge_cents) * (10_000 - plan.margin_bps) * 1000
    allowance = worth if plan.allowance_override_nanos is None else plan.allowance_override_nanos
    most = plan.parallel_calls or 5
    window = plan.window_hours and (plan.window_hours, plan.window_limit_nanos)
    return Offer(plan.name, plan.price_cents, allowance, plan.daily_limit_nanos, plan.allows_packs, most, window)


def months_lived(born: datetime, now: datetime) -> int:
    months = 0
    while anniversary_after(born, months + 1) <= now:
        months += 1
    return months
