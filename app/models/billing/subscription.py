"""Subscriptions: a row that mirrors Stripe's, and the rights that go with its status. billing-rules.md 7."""

from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import ColumnElement, Index, and_, func, or_, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, not_negative, partial_index, refers_to, utcnow
from app.models.billing.payment_errors import Mismatch
from app.models.billing.stripe_objects import ItemState, SubscriptionState
from app.models.catalog.plan import Plan
from app.models.identity.account import Account

if TYPE_CHECKING:
    from app.models.identity.actor import Actor

RIGHTS = ("trialing", "active", "past_due")
LIVE = (*RIGHTS, "unpaid", "paused")
UNPAID = ("past_due", "unpaid")
ENDED = ("canceled", "incomplete_expired")
ONE_LIVE = text(
    "former_account_id IS NULL AND rejected_at IS NULL "
    "AND status IN ('trialing', 'active', 'past_due', 'unpaid', 'paused')"
)


def free_plan_after(chosen: Plan | None) -> Plan:
    """What an account is on once its subscription has ended: the free plan that was chosen, or the default one."""
    return chosen if chosen is not None and chosen.is_free and chosen.can_be_chosen else Plan.default()


class Subscription(Model):
    """A plan that is paid for period by period. `status` is Stripe's word, or `checkout` while it is being bought.

    `allowance_nanos` is a month's allowance as it was at the last paid invoice. `paid_until` ends the last
    paid period. `is_in_force`: the account has its plan from here. A subscription that we do not want (a second
    one, a second trial, one on a plan that ended) has `rejected_at`: it is cancelled, refunded, and gives nothing.
    One with `former_account_id` was left with another Stripe account: what was paid for goes on until its end.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        *not_negative("allowance_nanos", "trial_granted_nanos"),
        partial_index("uq_subscriptions_one_live", "account_id", unique=True, where=ONE_LIVE),
        Index("ix_subscriptions_account", "account_id"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int | None] = refers_to("users.id")
    plan_id: Mapped[int] = refers_to("plans.id", index=True)
    pending_plan_id: Mapped[int | None] = refers_to("plans.id")
    status: Mapped[str] = mapped_column(default="checkout")
    stripe_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_session_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_customer_id: Mapped[str | None]
    stripe_item_id: Mapped[str | None]
    stripe_price_id: Mapped[str | None]
    stripe_schedule_id: Mapped[str | None]
    price_cents: Mapped[int]
    pending_price_cents: Mapped[int | None]
    currency: Mapped[str]
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    paid_until: Mapped[datetime | None]
    cancel_at_period_end: Mapped[bool] = mapped_column(default=False)
    ended_at: Mapped[datetime | None]
    rejected_at: Mapped[datetime | None]
    rejected_for: Mapped[str] = mapped_column(default="")
    is_in_force: Mapped[bool] = mapped_column(default=False)
    allowance_nanos: Mapped[Nanos] = mapped_column(default=0)
    trial_days: Mapped[int] = mapped_column(default=0)
    trial_end: Mapped[datetime | None]
    trial_card: Mapped[str | None] = mapped_column(unique=True)
    trial_refused_at: Mapped[datetime | None]
    trial_granted_nanos: Mapped[Nanos] = mapped_column(default=0)
    card_id: Mapped[str | None]
    card_label: Mapped[str] = mapped_column(default="")
    pay_url: Mapped[str | None]
    change_counter: Mapped[int] = mapped_column(default=0)
    cancel_reason: Mapped[str | None]
    former_account_id: Mapped[int | None] = mapped_column(BigId)
    review_note: Mapped[str] = mapped_column(default="")
    request_key: Mapped[str | None]
    redemption_id: Mapped[int | None] = mapped_column(BigId, index=True)

    redemption = relationship("Redemption", primaryjoin="foreign(Subscription.redemption_id) == Redemption.id")
    account = relationship("Account")
    plan = relationship("Plan", foreign_keys=[plan_id])
    pending_plan = relationship("Plan", foreign_keys=[pending_plan_id])

    @classmethod
    def begin(cls, buyer: "Actor", account: Account, plan: Plan, *, trial_days: int = 0) -> "Subscription":
        """A subscription that is about to be bought; from now on the plan's terms stay as they are."""
        plan.lock_terms()
        subscription = cls(account_id=account.id, user_id=buyer.user_id, plan=plan, trial_days=trial_days)
        subscription.price_cents, subscription.currency = plan.asked_cents, plan.currency
        subscription.stripe_price_id = plan.asked_price_id
        db.session.add(subscription)
        db.session.flush()
        return subscription

    @classmethod
    def begun(cls, account_id: int, since: datetime) -> "list[Subscription]":
        """Those whose checkout has begun and was not paid yet, the newest first."""
        mine = cls.account_id == account_id, cls.status == "checkout", cls.former_account_id.is_(None)
        query = select(cls).where(*mine, cls.created_at > since)
        return list(db.session.scalars(query.order_by(cls.id.desc())))

    @classmethod
    def live_of(cls, account_id: int) -> "Subscription | None":
        """The one that is running, paid or not, and wanted."""
        return db.session.scalar(select(cls).where(cls.account_id == account_id, cls.is_running()))

    @classmethod
    def is_running(cls) -> ColumnElement[bool]:
        """The condition of those that Stripe may still charge for, and that we want."""
        return and_(cls.status.in_(LIVE), cls.rejected_at.is_(None), cls.former_account_id.is_(None))

    @classmethod
    def in_force_for(cls, account_id: int) -> "Subscription | None":
        """The one that the account has its plan from."""
        return db.session.scalar(select(cls).where(cls.account_id == account_id, cls.is_in_force))

    @classmethod
    def to_cancel(cls) -> list[int]:
        """Those that must not go on so: not wanted, of a closed account, on an inactive plan or moving to one."""
        gone = or_(cls.rejected_at.is_not(None), Account.closed_at.is_not(None))
        ended = select(Plan.id).where(Plan.status == "inactive")
        retired = (cls.plan_id.in_(ended) | cls.pending_plan_id.in_(ended)) & cls.cancel_at_period_end.is_(False)
        query = select(cls.id).join(Account, Account.id == cls.account_id)
        running = cls.status.in_((*LIVE, "incomplete")), cls.stripe_id.is_not(None)
        query = query.where(*running, cls.former_account_id.is_(None), or_(gone, retired))
        return list(db.session.scalars(query))

    @classmethod
    def run_out(cls, at: datetime) -> list[int]:
        """Those left with another Stripe account whose paid time, or trial, is over."""
        until = func.coalesce(cls.paid_until, cls.trial_end, cls.period_end)
        left = cls.former_account_id.is_not(None), cls.is_in_force, until <= at
        return list(db.session.scalars(select(cls.id).where(*left)))

    def come_into_force(self) -> None:
        """The account has its plan from here, and from no other subscription anymore."""
        others = (
            Subscription.account_id == self.account_id,
            Subscription.is_in_force,
            Subscription.id != self.id,
        )
        for other in db.session.scalars(select(Subscription).where(*others)):
            other.is_in_force = False
        self.is_in_force = True

    @property
    def idempotency_key(self) -> str:
        """Changes with each committed change that is wanted, and with nothing else."""
        return f"subscription-{self.id}-{int(self.created_at.timestamp() * 1000)}-{self.change_counter}"

    @property
    def labels(self) -> dict[str, str]:
        return {"account_id": str(self.account_id), "subscription_id": str(self.id)}

    @property
    def terms(self) -> tuple[object, ...]:
        """What is bought, at which price and with which code."""
        code_id = self.redemption.code_id if self.redemption else None
        return "plan", self.plan_id, self.stripe_price_id, self.price_cents, code_id

    @property
    def is_live(self) -> bool:
        return self.status in LIVE and self.rejected_at is None

    @property
    def is_trialing(self) -> bool:
        return self.status == "trialing"

    @property
    def is_unpaid(self) -> bool:
        return self.status in UNPAID

    @property
    def follower(self) -> Plan | None:
        """The free plan that follows when it ends with its period; None where it goes on."""
        if not self.cancel_at_period_end and not self.is_retired:
            return None
        return free_plan_after(self.pending_plan)

    @property
    def is_retired(self) -> bool:
        """Whether its plan, or the one it is about to move to, is inactive: nobody pays for what gives no usage."""
        return any(plan.status == "inactive" for plan in (self.plan, self.pending_plan) if plan is not None)

    @property
    def next_cents(self) -> int:
        """What the next period costs: at the price that it was begun at, or at which what follows was scheduled."""
        following: int = self.pending_plan.asked_cents if self.pending_plan else self.price_cents
        return following if self.pending_price_cents is None else self.pending_price_cents

    @property
    def gives_rights(self) -> bool:
        """Trialing, active, past due; anything else, words that we do not know included, gives none."""
        return self.status in RIGHTS and self.rejected_at is None

    def intend(self) -> str:
        """Count a change that is about to be asked of Stripe; its idempotency key."""
        self.change_counter += 1
        return self.idempotency_key

    def is_upgrade(self, plan: Plan) -> bool:
        """A higher price at the same interval acts now; every other change at the period's end."""
        current: Plan = self.plan
        return plan.interval == current.interval and plan.price_cents > current.price_cents

    def settle_redemption(self) -> None:
        """A code is used once the subscription has begun, and given back where nothing comes of it."""
        if self.redemption is None:
            return
        if self.rejected_at or self.status in ENDED:
            self.redemption.release()
        elif self.gives_rights:
            self.redemption.use()

    def reject(self, why: str) -> None:
        """It slipped through: it is to be cancelled and refunded, and gives nothing."""
        self.rejected_at = self.rejected_at or utcnow()
        self.rejected_for = self.rejected_for or why

    def mirror(self, state: SubscriptionState) -> None:
        """Take over what Stripe says; what has ended stays ended. Mismatch where it is not ours.

        What was changed at Stripe's dashboard into something that we do not sell is noted, and holds up nothing.
        """
        self.check(state)
        self.review_note = "; ".join(self.oddities(state))
        state = state.of(item := self.own_item(state))
        self.stripe_id, self.stripe_customer_id = state.stripe_id, state.customer_id
        self.stripe_item_id, self.stripe_schedule_id = state.item_id, state.schedule_id
        self.period_start, self.period_end = state.period_start, state.period_end
        self.cancel_at_period_end, self.trial_end = state.is_ending, state.trial_end
        self.status = self.status if self.status in ENDED else state.status
        self.ended_at = self.ended_at or (state.ended_at or utcnow() if self.status in ENDED else None)
        self.pay_url = None if self.status in ENDED else state.pay_url
        if state.card:
            self.card_id, self.card_label = state.card.stripe_id, state.card.label
        self.move_to(item)
        self.pending_plan, self.pending_price_cents = self.next_terms(state)

    def own_item(self, state: SubscriptionState) -> ItemState:
        """The item that sells our plan; the one that we know, or the first, where none does."""
        first = ItemState(state.item_id, state.price_id, state.period_start, state.period_end)
        known, items = self.stripe_item_id, state.items or (first,)
        return min(items, key=lambda item: (self.plan_of(item.price_id) is None, item.stripe_id != known))

    def move_to(self, item: ItemState) -> None:
        """Follow a price at Stripe to the plan that it is of; a plan has others too, such as those of a sale."""
        if plan := self.plan_of(item.price_id):
            known = self.price_cents if plan.id == self.plan_id else plan.cents_of(item.price_id)
            self.plan, self.stripe_price_id = plan, item.price_id
            self.price_cents = known if item.unit_cents is None else item.unit_cents

    def next_terms(self, state: SubscriptionState) -> tuple[Plan | None, int | None]:
        """What follows at the period's end: a scheduled price, or after a cancel the free plan that was chosen."""
        if state.next_price_ids and state.price_id not in state.next_price_ids:
            ours = ((self.plan_of(one), state.next_cents.get(one)) for one in state.next_price_ids)
            return next((terms for terms in ours if terms[0]), (None, None))
        chosen = state.metadata.get("next_plan_id") if state.is_ending else None
        return (Plan.find(chosen) if chosen else None), None

    def plan_of(self, price_id: str | None) -> Plan | None:
        """The plan that a price at Stripe belongs to, older prices of it included; None for what we do not sell."""
        if price_id is not None and price_id == self.stripe_price_id:
            return cast(Plan, self.plan)
        return Plan.with_stripe_price(price_id) if price_id else None

    def oddities(self, state: SubscriptionState) -> list[str]:
        """What an admin should know of: it was changed at Stripe into something that we do not sell."""
        prices = [item.price_id for item in state.items] or [state.price_id]
        notes = [f"price {one} at Stripe is no plan's" for one in prices if self.plan_of(one) is None]
        notes += [f"quantity {item.quantity} at Stripe" for item in state.items if item.quantity != 1]
        notes += state.of(self.own_item(state)).timing_notes
        ours = [plan.name for one in prices if (plan := self.plan_of(one))]
        notes += [f"{' and '.join(ours)} at Stripe; {self.plan.name} counts"] if len(ours) > 1 else []
        foreign = [one for one in state.next_price_ids if self.plan_of(one) is None]
        notes += [f"the scheduled price {one} is no plan's" for one in foreign]
        return notes + [f"{name} is {told!r} at Stripe" for name, told in self.other_labels(state)]

    def other_labels(self, state: SubscriptionState) -> list[tuple[str, str]]:
        """Labels of ours that say something else at Stripe by now."""
        told = {name: state.metadata.get(name, own) for name, own in self.labels.items()}
        return [(name, other) for name, other in told.items() if other != self.labels[name]]

    def check(self, state: SubscriptionState) -> None:
        """Mismatch where it is another subscription than ours. Once its id is known, labels are only noted."""
        if self.stripe_id is None and (others := self.other_labels(state)):
            name, told = others[0]
            raise Mismatch(f"{name} is {told!r} at Stripe and {self.labels[name]!r} on the subscription")
        if self.stripe_id not in (None, state.stripe_id):
            raise Mismatch(f"subscription {self.id} is {self.stripe_id} at Stripe, not {state.stripe_id}")
