"""Random histories by the live functions: accounts that call, are refused, buy, are refilled, refunded and moved."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance import refill
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import AIModel
from app.models.identity.account import Account
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import Reservation, reserve, settle
from app.models.operations.refused_call import RefusedCall
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support.people import CREDIT, actor, give, paid, person

BEGINS = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 31
MODELS = "big", "small"


class Life:
    """One account's month; `act` does what comes next at the clock's moment."""

    def __init__(self, number: int, seed: int, plans: list[Plan], prefix: str) -> None:
        self.random = random.Random(f"{seed}:{number}")  # noqa: S311
        self.prefix = f"{prefix}{number}"
        self.account = person(self.prefix, plan=self.random.choice(plans))
        self.account.period_end = self.account.created_at
        self.account_id, self.plans, self.running = self.account.id, plans, list[Reservation]()
        self.rhythm = self.random.choice((7, 40, 300, 900))
        self.number, self.count = number, 0

    def act(self) -> None:
        if self.running and self.random.random() < 0.5:
            return self.end()
        return self.random.choices(
            (self.call, self.buy, self.be_refilled, self.be_granted, self.change_plan), (60, 2, 1, 1, 1)
        )[0]()

    def call(self) -> None:
        name = self.random.choices(MODELS, (1, 3))[0]
        prompt = Prompt(name, (PromptMessage("user", "x" * self.random.randrange(20_000)),),
                        self.random.choice((100, 256, 1000, 4096)))  # fmt: skip
        who = actor(self.account, api_key_id=None)
        try:
            self.running.append(reserve(who, prompt, AIModel.to_sell(name, utcnow())[1]))
        except Refusal as refusal:
            RefusedCall.note(who, refusal, 1)

    def end(self) -> None:
        reservation = self.running.pop(self.random.randrange(len(self.running)))
        most, written = (
            reservation.prompt.max_output_tokens,
            self.random.choice((0, 4096, self.random.randrange(900))),
        )
        used = TokenUsage(
            uncached_input=self.random.randrange(6000), cache_read=self.random.randrange(800),
            output=min(most, written), source="reported",
        )  # fmt: skip
        settle(reservation, used, self.random.choices(("done", "stopped", "failed"), (8, 1, 1))[0])

    def buy(self) -> None:
        pack = self.random.choice(CreditPack.on_offer())
        if self.account.plan.allows_packs:
            payment = Payment.begin(actor(self.account), Account.locked(self.account_id), pack.quote())
            self.count += 1
            payment.succeed(Account.locked(self.account_id), paid(f"pi_{self.prefix}_{self.count}", payment))

    def be_refilled(self) -> None:
        self.count += 1
        plan = self.account.plan
        key = f"refill:{self.prefix}:{self.count}"
        refill(Account.locked(self.account_id), plan, plan.allowance_nanos, key=key, month="2026-10")

    def be_granted(self) -> None:
        give(Account.locked(self.account_id), credits=self.random.choice((-400, 30, 2000)) * CREDIT)

    def change_plan(self) -> None:
        Account.locked(self.account_id).plan = self.random.choice(self.plans)


def live(count: int, seed: int = 1, steps: int = 60, prefix: str = "p") -> list[Life]:
    """So many accounts, one after another, each through the month; committed."""
    plans = [plan for plan in db.session.query(Plan) if plan.status == "active" and plan.interval == "month"]
    lives = []
    for number in range(count):
        with time_machine.travel(BEGINS - timedelta(days=3), tick=False) as clock:
            life = Life(number, seed, plans, prefix)
            lives.append(life)
            moment = BEGINS - timedelta(days=life.random.randrange(2))
            for _ in range(steps):
                moment += timedelta(seconds=life.random.randrange(1, 90 * life.rhythm))
                clock.move_to(moment, tick=False)
                life.act()
                db.session.flush()
            while life.running:
                moment += timedelta(seconds=7)
                clock.move_to(moment, tick=False)
                life.end()
            db.session.commit()
    return lives


def entries_between(account_id: int, begins: datetime, ends: datetime) -> list[tuple[Any, ...]]:
    rows = db.session.query(LedgerEntry).filter(
        LedgerEntry.account_id == account_id, LedgerEntry.created_at >= begins, LedgerEntry.created_at < ends
    )
    return [
        (row.kind, row.key, row.allowance_nanos, row.credits_nanos)
        for row in rows.order_by(LedgerEntry.created_at, LedgerEntry.id)
    ]
