"""A subscription, and what Stripe says of it: invoices, trials, changes, its end."""

from dataclasses import replace
from datetime import UTC, datetime

from app.extensions import db
from app.models.billing.stripe_objects import InvoiceState, LineState, SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import follow
from app.models.catalog.plan import Plan
from tests.support.people import CREDIT, actor, person

BEGIN = datetime(2026, 1, 10, 12, tzinfo=UTC)


def month(number: int) -> datetime:
    return BEGIN.replace(month=1 + number)


class Deal:
    """ada's subscription to `plan`, and what Stripe says of it."""

    def __init__(self, plan: str, trial_days: int = 0) -> None:
        for one in db.session.query(Plan):
            one.stripe_price_id = f"price_{one.name}"
        self.plan = db.session.query(Plan).filter_by(name=plan).one()
        self.account = person("ada")
        self.account.stripe_customer_id = "cus_1"
        db.session.flush()
        self.subscription = Subscription.begin(actor(self.account), self.account, self.plan, trial_days=trial_days)
        self.state = SubscriptionState("sub_1", "active", "cus_1", "si_1", f"price_{plan}", month(0), month(1))

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
