"""A customer at the till, in one process: buys, pays on the sandbox's pages, and Stripe's notices are worked off."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import time_machine
from rq import Queue

from app.extensions import db
from app.jobs import QUEUE, connect
from app.models.base import utcnow
from app.models.billing import audit
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.operations.outbox import OutgoingMail
from app.models.operations.webhook_event import StripeEvent
from app.payments import auto_recharge_settings, checkout, jobs, subscriptions, sweeper, webhook_events
from app.payments.webhook_handlers import REACTIONS
from app.stripe_api import client
from tests.payments.notices import looked_at
from tests.support.people import CREDIT, actor, person
from tests.support.running_sandbox import StartedSandbox

DAY = 86400


def fresh(table: Any) -> Any:
    """A query of what is committed by now."""
    db.session.expire_all()
    return db.session.query(table)


class StripeScenario:
    """`ada` is an Account; every method leaves everything committed."""

    pass_hours: Callable[[float], None]  # given by tests that travel in time

    def __init__(self, sandbox: StartedSandbox, name: str = "ada", plan: str = "Pay as you go") -> None:
        self.sandbox = sandbox
        account = person(name, plan=self.plan(plan))
        db.session.commit()
        self.account_id = account.id
        self.seen: set[str] = set()

    @property
    def account(self) -> Account:
        db.session.expire_all()
        return db.session.get_one(Account, self.account_id)

    @property
    def actor(self) -> Actor:
        return actor(self.account)

    @property
    def credits(self) -> int:
        return self.account.credits_nanos // CREDIT

    @property
    def allowance(self) -> int:
        return self.account.allowance_nanos // CREDIT

    @property
    def subscription(self) -> Subscription | None:
        db.session.expire_all()
        return Subscription.live_of(self.account_id)

    @staticmethod
    def plan(name: str) -> Plan:
        return db.session.query(Plan).filter_by(name=name).one()

    @staticmethod
    def pack(cents: int = 1000) -> CreditPack:
        return db.session.query(CreditPack).filter_by(price_cents=cents).one()

    def begin_pack(self, cents: int = 1000, quantity: int = 1, code: str | None = None) -> str:
        """Opens a checkout; the session's id."""
        address = checkout.buy_pack(self.actor, checkout.PackOrder(self.pack(cents), quantity, code))
        return address.rsplit("/", 1)[1]

    def buy_pack(self, cents: int = 1000, quantity: int = 1, card: str = "success", code: str | None = None) -> Payment:
        session_id = self.begin_pack(cents, quantity, code)
        self.sandbox.pay(session_id, card)
        self.deliver()
        return self.last(Payment)

    def begin_plan(self, name: str, code: str | None = None) -> str:
        address = subscriptions.subscribe(self.actor, subscriptions.PlanOrder(self.plan(name), code)) or ""
        return address.rsplit("/", 1)[1]

    def subscribe(self, name: str = "Plus", card: str = "success", code: str | None = None) -> Subscription:
        answer = self.sandbox.pay(self.begin_plan(name, code), card)
        assert answer.status_code == 303, answer.text
        self.deliver()
        return self.last(Subscription)

    def change(self, name: str) -> str | None:
        address = subscriptions.change_plan(self.actor, self.plan(name))
        self.deliver()
        return address

    def advance(self, days: float) -> None:
        """Stripe's clock goes on, and its notices are worked off."""
        self.sandbox.advance(int(days * DAY))
        self.deliver()

    def renew(self) -> None:
        self.sandbox.control("clock", to="next_renewal")
        self.deliver()

    def refund(self, payment: Payment, cents: int | None = None) -> dict[str, Any]:
        """As from Stripe's dashboard."""
        options: dict[str, Any] = {"payment_intent": payment.stripe_payment_intent_id}
        made = self.sandbox.control("refund", **options, **({} if cents is None else {"amount": cents}))
        self.deliver()
        return made

    def dispute(self, payment: Payment, action: str = "open") -> None:
        self.sandbox.control("dispute", payment_intent=payment.stripe_payment_intent_id, action=action)
        self.deliver()

    def notices(self) -> list[client.Notice]:
        """What Stripe has to tell and has not told yet, oldest first."""
        events = self.sandbox.running.sandbox.store.all("event")
        fresh = [event for event in events if event["id"] not in self.seen]
        return [client.notice(event) for event in reversed(fresh)]

    def deliver(self, shuffle: random.Random | None = None, times: int = 1) -> None:
        """Tells the app what is new and moves it, and works the jobs off, until there is nothing new.

        Every notice where they come shuffled or several times; else the newest of each thing that it would look at.
        """
        while notices := self.notices():
            self.seen |= {notice.stripe_id for notice in notices}
            notices = [notice for notice in notices if notice.type in REACTIONS] * times
            if times == 1 and not shuffle:
                notices = list({looked_at(notice): notice for notice in notices}.values())
            if shuffle:
                shuffle.shuffle(notices)
            for notice in notices:
                webhook_events.store(notice)
                self.process(notice.stripe_id)
            self.work()

    @staticmethod
    def process(stripe_id: str) -> StripeEvent:
        event_id = db.session.query(StripeEvent.id).filter_by(stripe_id=stripe_id).scalar()
        webhook_events.process(event_id)
        db.session.expire_all()
        return db.session.get_one(StripeEvent, event_id)

    @staticmethod
    def commit() -> None:
        db.session.commit()

    def receive(self, kind: str, about: dict[str, str]) -> None:
        """An event as a webhook would bring it, processed."""
        stripe_id = f"evt_{len(self.seen)}_{kind}"
        self.seen.add(stripe_id)
        webhook_events.store(client.Notice(stripe_id, kind, about))
        self.process(stripe_id)

    def publish(self, plan: str) -> None:
        """The job that an admin's saving calls for."""
        jobs.publish_plan(self.plan(plan).id)
        self.work()
        self.deliver()

    def close_account(self) -> None:
        jobs.account_closed(self.account_id)
        self.deliver()

    def change_quietly(self, name: str) -> None:
        """A change whose notices are not told yet."""
        subscriptions.change_plan(self.actor, self.plan(name))

    def change_after_hearing(self, name: str) -> None:
        """A change of a subscription that has begun, and whose own notices are not told yet."""
        self.deliver()
        self.change_quietly(name)

    def store_all(self) -> list[int]:
        """Keep all notices, unprocessed; their rows' ids."""
        notices = self.notices()
        self.seen |= {notice.stripe_id for notice in notices}
        stored = [StripeEvent.store(one.stripe_id, one.type, one.about)[0] for one in notices]
        db.session.commit()
        return stored

    def store(self, kind: str) -> int:
        """Keep the notice of that type, unprocessed; its row's id. All others are lost."""
        notice = next(one for one in self.notices() if one.type == kind)
        self.seen |= {one.stripe_id for one in self.notices()}
        event_id, _ = StripeEvent.store(notice.stripe_id, notice.type, notice.about)
        db.session.commit()
        return event_id

    @staticmethod
    def is_queue_empty() -> bool:
        return Queue(QUEUE, connection=connect()).is_empty()

    def work_later(self) -> None:
        """What the sweeper finds once an attempt is old enough to have been lost."""
        with time_machine.travel(utcnow() + timedelta(minutes=1), tick=True):
            self.work()

    @staticmethod
    def make_events_due() -> None:
        db.session.query(StripeEvent).update({"next_try_at": utcnow()})
        db.session.commit()

    @staticmethod
    def work() -> None:
        """What the sweeper would find, at once: twice if there was something, since one job may call for another."""
        done: list[object] = []
        for _ in range(2):
            jobs.process_events()
            sweeper.sweep_payments(lambda name, identifier: done.append(jobs.do(name, identifier)))
            if not done:
                return

    def turn_on_recharge(
        self, *, below: int = 1000, cents: int = 1000, most: int = 5000, card: str = "success"
    ) -> None:
        """Settings in credits and cents, with a card saved beforehand; nothing is charged yet."""
        customer = checkout.customer_of(self.account_id)
        self.sandbox.control("method", customer=customer, card=card)
        options = auto_recharge_settings.RechargeOptions(str(self.pack(cents).id), 1, below * CREDIT, most)
        auto_recharge_settings.turn_on(self.actor, options)
        self.seen |= {notice.stripe_id for notice in self.notices()}

    def charges(self) -> int:
        """How often Stripe has really taken money by auto-recharge."""
        paid = self.sandbox.running.sandbox.store.where("payment_intent", status="succeeded")
        return sum("recharge_id" in intent["metadata"] for intent in paid)

    @property
    def settings(self) -> AutoRecharge:
        return fresh(AutoRecharge).filter_by(account_id=self.account_id).one()

    def recharges(self) -> list[Recharge]:
        return fresh(Recharge).filter_by(account_id=self.account_id).order_by(Recharge.id).all()

    def spend(self, credits: int) -> None:
        """As calls would: from the credits, explained by an entry."""
        self._take(credits=-credits * CREDIT)

    def use_allowance(self, credits: int) -> None:
        """As calls would, from the allowance."""
        self._take(allowance=-credits * CREDIT)

    def _take(self, **nanos: int) -> None:
        account = Account.locked(self.account_id)
        LedgerEntry.post(account, "grant", f"test:taken:{len(account.entries())}", **nanos)
        db.session.commit()

    def charge_elsewhere(self, cents: int, customer: str | None, **labels: str) -> None:
        """Money that Stripe is paid without our asking, and its notices."""
        how = {"confirm": True, "payment_method": "pm_card_visa", "return_url": "http://127.0.0.1/"}
        wanted: Any = {"amount": cents, "currency": "usd", "customer": customer, "metadata": labels, **how}
        self.sandbox.client.v1.payment_intents.create(wanted)

    def freeze(self, by: str) -> None:
        Account.locked(self.account_id).freeze(by)
        db.session.commit()

    def last_payment(self, kind: str) -> Payment:
        return fresh(Payment).filter_by(account_id=self.account_id, kind=kind).order_by(Payment.id.desc()).first()

    def entries(self) -> list[tuple[str, int, int]]:
        """(kind, allowance, credits) of its ledger in credits, oldest first."""
        rows = reversed(self.account.entries())
        return [(row.kind, row.allowance_nanos // CREDIT, row.credits_nanos // CREDIT) for row in rows]

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.entries()]

    @staticmethod
    def mails() -> list[str]:
        """The templates of all mails posted, in their order."""
        return list(db.session.scalars(db.select(OutgoingMail.template).order_by(OutgoingMail.id)))

    @staticmethod
    def last(table: Any) -> Any:
        return fresh(table).order_by(table.id.desc()).first()

    @staticmethod
    def events(state: str) -> list[StripeEvent]:
        return fresh(StripeEvent).filter_by(state=state).all()

    @staticmethod
    def is_explained() -> bool:
        db.session.expire_all()
        return not list(audit.audit())
