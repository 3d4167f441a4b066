"""One customer's life with money, told to the app in any order, twice, late, and by processes that die."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from app import jobs
from app.extensions import db
from app.models.billing.auto_recharge import Recharge
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.refund import Refund
from app.models.billing.subscription import Subscription
from app.payments import auto_recharge, refunds, session_sync, subscriptions, webhook_events
from app.stripe_api import client
from tests.payments.stripe_scenario import DAY, StripeScenario
from tests.support.steps import at_step

EXAMPLES = int(os.environ.get("INTERLEAVINGS", "0"))
"""How many lives to try, where more are wanted than `make test` has time for."""

STEPS = range(10)
NEVER = 10**6
NAMES_OF_STRIPE = {
    "id", "stripe_id", "stripe_session_id", "stripe_customer_id", "stripe_item_id", "stripe_price_id",
    "stripe_schedule_id", "card_id", "change_counter", "created_at", "updated_at",
}  # fmt: skip

Made = TypeVar("Made")


class Killed(BaseException):
    """The process is gone at this step: nothing after it happens, and what was not committed is lost."""


@contextmanager
def killed_at(step: int) -> Iterator[list[bool]]:
    """Dies after that step of `tests.support.steps`. Yields a list that is no longer empty once it has died."""
    died = list[bool]()

    def die() -> None:
        raise Killed

    with at_step(step, die):
        try:
            yield died
        except Killed:
            died.append(True)
    jobs.rollback()


class Calm:
    """Nothing goes wrong, and everything is told once, in its order and at once."""

    def step(self) -> int:
        return NEVER

    def some(self, notices: list[client.Notice]) -> list[client.Notice]:
        return notices

    def order(self, notices: list[client.Notice]) -> list[client.Notice]:
        return notices

    def happens(self) -> bool:
        return True


class Chance(Calm):
    """Draws what goes wrong."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def step(self) -> int:
        return self.draw.choice([NEVER, *STEPS])

    def some(self, notices: list[client.Notice]) -> list[client.Notice]:
        return [notice for notice in self.order(notices) if self.happens()]

    def order(self, notices: list[client.Notice]) -> list[client.Notice]:
        self.draw.shuffle(notices)
        return notices

    def happens(self) -> bool:
        return self.draw.random() < 0.5


class Life:
    """A pack, a subscription, a recharge, an upgrade, two refunds, a renewal, a dispute, in that order."""

    def __init__(self, scenario: StripeScenario, chance: Calm) -> None:
        self.scenario = scenario
        self.chance = chance
        self.told: list[client.Notice] = []

    def live(self) -> None:
        self.buy()
        for act in (self.recharge, self.upgrade, self.refund, self.renew, self.dispute):
            self.hear()
            act()
        self.hear_all()

    def insist(self, act: Callable[[], Made]) -> Made:
        """Do it again until no process died of it."""
        while True:
            with killed_at(self.chance.step()) as died:
                made = act()
            if not died:
                return made

    def hear(self) -> None:
        """Some of what Stripe has to tell, in some order, a part of it again; and the sweeper comes by."""
        fresh = self.chance.some(self.scenario.notices())
        for notice in fresh + (self.chance.some(self.told[-6:]) if isinstance(self.chance, Chance) else []):
            self.tell(notice)
        with killed_at(self.chance.step()):
            self.scenario.work()

    def tell(self, notice: client.Notice) -> None:
        self.scenario.seen.add(notice.stripe_id)
        self.told.append(notice)
        self.insist(lambda: webhook_events.store(notice))
        with killed_at(self.chance.step()):
            self.scenario.process(notice.stripe_id)

    def hear_all(self) -> None:
        """All the rest, and what was left undone, until there is nothing to do."""
        while notices := self.chance.order(self.scenario.notices()):
            for notice in notices:
                self.tell(notice)
            self.scenario.make_events_due()
            self.scenario.work_later()

    def buy(self) -> None:
        """Both are paid at Stripe's; the customer comes back from one of them, and perhaps from the other."""
        pack = self.insist(lambda: self.scenario.begin_pack(2500))
        plan = self.insist(lambda: self.scenario.begin_plan("Plus"))
        for session_id, returns in ((plan, True), (pack, self.chance.happens())):
            assert self.scenario.sandbox.pay(session_id).status_code == 303
            if returns:
                self.insist(lambda session_id=session_id: self.come_back(session_id))

    @staticmethod
    def come_back(session_id: str) -> None:
        session_sync.sync_session(session_id)
        jobs.commit()

    def recharge(self) -> None:
        self.insist(lambda: self.scenario.turn_on_recharge(below=10**6, most=1000))
        while not self.scenario.charges():
            with killed_at(self.chance.step()):
                auto_recharge.recharge(self.scenario.account_id)
            with killed_at(self.chance.step()):
                self.scenario.work_later()

    def upgrade(self) -> None:
        self.scenario.sandbox.advance(10 * DAY)
        self.insist(lambda: subscriptions.change_plan(self.scenario.actor, self.scenario.plan("Pro")))

    def refund(self) -> None:
        """One at Stripe's dashboard, one by an admin, who needs to see the payment."""
        bought = next(one for one in self.at_stripe("payment_intent") if one["amount"] == 2500)
        self.scenario.sandbox.control("refund", payment_intent=bought["id"], amount=333)
        known = Payment.by(stripe_payment_intent_id=bought["id"])
        if known is None or known.refunded_cents:
            self.scenario.sandbox.control("refund", payment_intent=bought["id"], amount=777)
            return
        refunds.request_refund(known.id, 777, reason="kindness")
        jobs.commit()

    def renew(self) -> None:
        self.scenario.sandbox.control("clock", to="next_renewal")

    def dispute(self) -> None:
        charged = next(one for one in self.at_stripe("payment_intent") if "recharge_id" in one["metadata"])
        self.scenario.sandbox.control("dispute", payment_intent=charged["id"], action="open")

    def at_stripe(self, kind: str) -> list[dict[str, Any]]:
        return self.scenario.sandbox.running.sandbox.store.all(kind)

    def outcome(self) -> dict[str, Any]:
        """All that money is about, without the names that Stripe gave and what was begun and left."""
        mine, account = {"account_id": self.scenario.account_id}, self.scenario.account
        entries = db.session.query(LedgerEntry).filter_by(**mine)
        payments = db.session.query(Payment).filter_by(**mine, state="paid")
        rows = db.session.query(Subscription).filter_by(**mine).filter(Subscription.stripe_id.is_not(None))
        refunds = db.session.query(Refund).filter_by(**mine)
        return {
            "ledger": sorted((e.kind, e.allowance_nanos, e.credits_nanos, e.month or "") for e in entries),
            "payments": sorted((p.kind, p.price_cents, p.worth_nanos, p.refunded_cents) for p in payments),
            "subscriptions": [values_of(row) for row in rows],
            "recharges": [one.state for one in db.session.query(Recharge).filter_by(**mine)],
            "refunds": sorted((one.amount_cents, one.status) for one in refunds),
            "account": (account.allowance_nanos, account.credits_nanos, account.frozen_by, account.plan.name),
            "charged": sorted(
                one["amount"] for one in self.at_stripe("payment_intent") if one["status"] == "succeeded"
            ),
        }


def values_of(row: Subscription) -> dict[str, Any]:
    names = (column.key for column in Subscription.__table__.columns)
    return {name: getattr(row, name) for name in names if name not in NAMES_OF_STRIPE}
