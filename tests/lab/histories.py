"""Random histories by the live functions: accounts that call, are refused, buy, are refilled, refunded and moved."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import refill
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import image_offers
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.metering.breaker import account_bars
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import Reservation, reserve_with, settle
from app.models.metering.spending import SpendingDay
from app.models.operations.refused_call import RefusedCall
from app.payments import breaker
from app.providers.base import ImagePrompt, ImageUsage, Prompt, PromptMessage, TokenUsage
from tests.support.people import CREDIT, actor, give, paid, person

BEGINS = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 31
MODELS = "big", "small"
LONGEST = timedelta(hours=20)
"""How long a call runs."""


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
        self.paints = bool(image_offers(utcnow()))
        self.key = ApiKey.make(self.account_id, self.account.owner.id, "loop")[0]
        db.session.flush()

    def act(self) -> None:
        if self.running and self.random.random() < 0.5:
            return self.end(self.random.randrange(len(self.running)))
        deeds = self.call, self.buy, self.be_refilled, self.be_granted, self.change_plan, self.resume
        return self.random.choices(deeds, (60, 2, 1, 1, 1, 6))[0]()

    def draw(self) -> None:
        offer = self.random.choice(image_offers(utcnow()))
        asked = ImagePrompt.of(offer.model.name, "a fox", quality="", size="", count=self.random.choice((1, 2)))
        self.begin(asked, offer, None, operation="image", image_price_id=offer.price.id)

    def call(self) -> None:
        if self.paints and self.random.random() < 0.15:
            self.draw()
            return
        name = self.random.choices(MODELS, (1, 3))[0]
        prompt = Prompt(name, (PromptMessage("user", "x" * self.random.randrange(20_000)),),
                        self.random.choice((100, 256, 1000, 4096)))  # fmt: skip
        key_id = self.random.choice((None, None, self.key.id))
        self.begin(prompt, AIModel.to_sell(name, utcnow())[1], key_id)

    def begin(self, prompt: Prompt, offer: Any, key_id: int | None, **columns: Any) -> None:
        is_paused = key_id is not None and self.key.spending_paused_at is not None
        who = actor(self.account, api_key_id=key_id, is_key_paused=is_paused)
        try:
            self.running.append(reserve_with(None, who, prompt, offer, **columns)[0])
        except Refusal as refusal:
            RefusedCall.note(who, refusal, 1)
            if refusal.is_trip:
                breaker.trip(self.account_id)

    def resume(self) -> None:
        until, was_mistake = self.random.choice(("hour", "day")), self.random.random() < 0.3
        if self.account.spending_paused_at or self.key.spending_paused_at:
            breaker.resume(actor(self.account), until, was_mistake=was_mistake)

    def sleep(self, until: datetime) -> None:
        """The clock goes on; the days that are over by then are added up, as the clock's job does."""
        day = utcnow().date()
        while day < until.date():
            SpendingDay.learn(day)
            day += timedelta(days=1)
            for row in account_bars(day):
                if row["id"] == self.account_id:
                    bars = row["hour_bar_nanos"], row["day_bar_nanos"]
                    self.account.hour_bar_nanos, self.account.day_bar_nanos = bars

    def end(self, number: int = 0) -> None:
        """End a call, the oldest first."""
        reservation = self.running.pop(number)
        most, written = (
            reservation.prompt.max_output_tokens,
            self.random.choice((0, 4096, self.random.randrange(900))),
        )
        used = TokenUsage(
            uncached_input=self.random.randrange(6000), cache_read=self.random.randrange(800),
            output=min(most, written), source="reported",
        )  # fmt: skip
        if isinstance(reservation.prompt, ImagePrompt):
            made = self.random.choice((0, most))
            used = ImageUsage(20, output=1000, images=made, source="reported", image_output=900)
        settle(reservation, used, self.random.choices(("done", "stopped", "failed"), (8, 1, 1))[0])

    def end_late(self, moment: datetime, clock: time_machine.Traveller) -> None:
        """The calls end that would run too long until then, each at its moment."""
        while self.running and (late := self.running[0].began + LONGEST) < moment:
            self.sleep(late)
            clock.move_to(late, tick=False)
            self.end()

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
    plans = [
        plan
        for plan in db.session.query(Plan).order_by(Plan.id)
        if plan.status == "active" and plan.interval == "month"
    ]
    lives = []
    for number in range(count):
        with time_machine.travel(BEGINS - timedelta(days=3), tick=False) as clock:
            life = Life(number, seed, plans, prefix)
            lives.append(life)
            moment = BEGINS - timedelta(days=life.random.randrange(2))
            for _ in range(steps):
                moment += timedelta(seconds=life.random.randrange(1, 90 * life.rhythm))
                life.end_late(moment, clock)
                life.sleep(moment)
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
