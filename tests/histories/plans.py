"""Plans that are chosen, subscribed to, renewed, paid late, grown and ended, as Stripe would tell it."""

from datetime import datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from app.models.billing.stripe_objects import InvoiceState, LineState, SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import choose_free_plan, follow
from tests.histories.environment import PAID_PLANS, Stage
from tests.histories.oracle import anniversary_after
from tests.support.people import actor

FREE_PLANS = ("Free", "Pay as you go")


class Plans(Stage):
    """`invoices` are all paid ones of the subscription, `unpaid` the others, `period` the newest one's."""

    @precondition(lambda self: self.clock is not None and self.book.term is None)
    @rule(plan=st.sampled_from(FREE_PLANS))
    def choose_a_free_plan(self, plan: str) -> None:
        choose_free_plan(self.account, self.plans[plan])
        self.book.offer = self.offers[plan]
        self.book.roll_over(self.now)

    @precondition(lambda self: self.clock is not None and self.book.term is None)
    @rule(plan=st.sampled_from(PAID_PLANS))
    def subscribe(self, plan: str) -> None:
        account = self.account
        self.subscription = Subscription.begin(actor(account), account, self.plans[plan])
        self.book.subscriptions += 1
        self.invoices.clear()
        self.unpaid.clear()
        self.price_id, self.stripe_id = f"price_{plan}", self.name("sub")
        self.period = self.now, anniversary_after(self.now, 1)
        self.sell_period(plan, *self.period)

    @precondition(lambda self: self.is_subscribed() and self.now >= self.period[1])
    @rule(plan=st.none() | st.sampled_from(PAID_PLANS), is_paid=st.booleans())
    def renew(self, plan: str | None, is_paid: bool) -> None:
        """The next period, on the same plan or on the one that was to follow; paid at once, or not yet."""
        self.period = self.period[1], anniversary_after(self.period[1], 1)
        name = plan if plan and not self.unpaid else self.price_id.removeprefix("price_")
        self.price_id = f"price_{name}"
        if is_paid and not self.unpaid:
            self.sell_period(name, *self.period)
            return
        made = self.invoice(self.price_id, self.offers[name].price_cents, *self.period)
        self.unpaid[made.stripe_id] = made
        self.book.term.is_past_due = True
        self.book.offer = self.offers[name]
        self.follow()

    @precondition(lambda self: self.is_subscribed() and self.unpaid)
    @rule(newest_first=st.booleans())
    def an_invoice_is_paid_late(self, newest_first: bool) -> None:
        key = list(self.unpaid)[-1 if newest_first else 0]
        late = self.unpaid.pop(key)
        self.book.term.is_past_due = bool(self.unpaid)
        self.pay_period(late)

    @precondition(lambda self: self.is_subscribed() and not self.unpaid)
    @rule(plan=st.sampled_from(PAID_PLANS))
    def upgrade(self, plan: str) -> None:
        offer, (start, end) = self.offers[plan], self.period
        if offer.price_cents <= self.book.offer.price_cents or not start <= self.now < end:
            return
        self.price_id = f"price_{plan}"
        made = self.invoice(self.price_id, 700, self.now, end, is_proration=True)
        self.invoices[made.stripe_id] = made
        self.book.upgrade(made.stripe_id, offer, 700, self.now)
        self.follow()

    @precondition(lambda self: self.is_subscribed())
    @rule(status=st.sampled_from(["canceled", "unpaid", "incomplete_expired"]))
    def the_subscription_ends(self, status: str) -> None:
        self.book.end_subscription(self.now)
        self.follow(status)
        if status == "unpaid":
            self.follow("canceled")

    @precondition(lambda self: self.is_subscribed() and not self.unpaid)
    @rule(status=st.sampled_from(["unpaid", "paused"]))
    def the_subscription_rests_and_goes_on(self, status: str) -> None:
        """Within one moment: what ended comes back, if its paid period still runs."""
        self.follow(status)
        self.follow()
        self.book.come_back(self.now)

    @precondition(lambda self: self.is_subscribed())
    @rule()
    def stripe_says_the_same_again(self) -> None:
        self.follow()

    def is_subscribed(self) -> bool:
        return self.clock is not None and self.book.term is not None

    def sell_period(self, plan: str, start: datetime, end: datetime) -> None:
        self.pay_period(self.invoice(f"price_{plan}", self.offers[plan].price_cents, start, end))

    def pay_period(self, sold: InvoiceState) -> None:
        self.invoices[sold.stripe_id] = sold
        line = sold.lines[0]
        offer = self.offers[(line.price_id or "").removeprefix("price_")]
        self.book.begin_period(sold.stripe_id, offer, line.starts_at, line.ends_at)
        self.book.offer = self.offers[self.price_id.removeprefix("price_")]
        self.follow()

    def invoice(
        self, price_id: str, cents: int, start: datetime, end: datetime, *, is_proration: bool = False
    ) -> InvoiceState:
        key, line = self.name("in"), LineState(price_id, cents, is_proration, start, end)
        return InvoiceState(
            key,
            self.stripe_id,
            "",
            "paid",
            cents,
            cents,
            "usd",
            self.now,
            self.now,
            f"pi_{key}",
            lines=(line,),
        )

    def follow(self, status: str | None = None) -> None:
        is_past_due = self.book.term is not None and self.book.term.is_past_due
        state = SubscriptionState(
            self.stripe_id,
            status or ("past_due" if is_past_due else "active"),
            "cus_1",
            "si_1",
            self.price_id,
            *self.period,
        )
        follow(self.subscription, self.account, state, reversed(self.invoices.values()))
