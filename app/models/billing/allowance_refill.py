"""Refills: when an allowance is set anew, by how much, and only once. billing-rules.md 7."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from app.models.identity.account import Account, anniversary, months_between
from app.models.identity.email_address import address_mark

if TYPE_CHECKING:
    from app.models.metering.account_state import AccountState


DRAFT_LASTS = timedelta(days=1)
"""More than Stripe takes to open the invoice of a period that has begun."""


def refill(account: Account, plan: Plan, amount: int, *, key: str, month: str, **columns: Any) -> None:
    """Set a locked account's allowance, then repay a debt from it: two entries. Nothing where the key was used.

    The plan's limits of a day and of some hours come with it, and stay until the next refill, whatever plan the
    account moves to.
    """
    difference = amount - account.allowance_nanos
    columns = {"plan_id": plan.id} | columns
    if LedgerEntry.post(account, "refill", key, allowance=difference, month=month, **columns):
        account.take_limits(plan)
        moment = {name: columns[name] for name in ("created_at",) if name in columns}
        repay_debt(account, key=f"debt:{key}", **moment)


def repay_debt(account: Account, *, key: str, **columns: Any) -> None:
    """Move allowance to credits as far as it goes, where the credits are below zero."""
    repaid = debt_repaid(account.allowance_nanos, account.credits_nanos)
    if repaid:
        LedgerEntry.post(account, "debt_repaid", key, allowance=-repaid, credits=repaid, **columns)


def debt_repaid(allowance: int, credits: int) -> int:
    """What of an allowance goes into a debt."""
    return min(allowance, max(0, -credits))


def is_due(account: "Account | AccountState", at: datetime) -> bool:
    """Whether a new month may have begun for the account. Cheap: read on the path of every call."""
    return at >= account.period_end and account.closed_at is None


def refill_if_due(account: Account, at: datetime | None = None) -> None:
    """Give a locked account, on a plan that needs no payment, the month's allowance that it has not had yet.

    Months are counted from the anchor: the account's creation, or a yearly period's start.
    """
    now = at or utcnow()
    if not is_due(account, now) or awaits_payment(account, now) or awaits_verification(account, account.plan):
        return
    months = max(0, months_between(account.billing_anchor, now))
    account.period_start = anniversary(account.billing_anchor, months)
    account.period_end = anniversary(account.billing_anchor, months + 1)
    month = f"{account.period_start:%Y-%m}"
    if not has_refill_for(account, account.plan, month) and not is_had_elsewhere(account, account.plan):
        amount, columns = amount_of_plan(account, account.plan), dict[str, int]()
        if subscription := Subscription.in_force_for(account.id):
            amount, columns = take_share_of_year(subscription, amount)
        key = refill_key(account, account.plan, month)
        refill(account, account.plan, amount, key=key, month=month, created_at=now, **columns)


def awaits_payment(account: Account, at: datetime) -> bool:
    """Whether the next refill comes with an invoice: always by the month, and once a paid year is over."""
    subscription = Subscription.in_force_for(account.id)
    return subscription is not None and not is_within_paid_year(subscription, at)


def is_within_paid_year(subscription: Subscription, at: datetime) -> bool:
    is_yearly = subscription.plan.interval == "year"
    return is_yearly and subscription.paid_until is not None and at < subscription.paid_until


def take_share_of_year(subscription: Subscription, at_most: int) -> tuple[int, dict[str, int]]:
    """A month within a paid year, counted whole into what the year's payments are worth.

    What refunds and disputes hold back of it is taken as they take from the months before, and comes back so.
    """
    payments = Payment.of_year(subscription.id)
    amount = share_of_year(payments, at_most)
    for payment in payments:
        whole, refunded = payment.monthly_nanos, payment.share_refunded(payment.monthly_nanos)
        payment.worth_nanos += whole
        payment.allowance_taken_nanos += whole - month_of(payment)
        payment.refund_taken_nanos += refunded
        if payment.dispute_taken_nanos:
            payment.dispute_taken_nanos += whole - refunded
    return amount, {"subscription_id": subscription.id, "payment_id": payments[0].id} if payments else {}


def share_of_year(payments: list[Payment], at_most: int) -> int:
    """A month within a paid year: as it was at the year's invoice and at upgrades, less what of them was refunded."""
    return sum(map(month_of, payments)) if payments else at_most


def month_of(payment: Payment) -> int:
    """What a payment for a year gives of the next month."""
    if payment.dispute_taken_nanos:
        return 0
    return payment.monthly_nanos - payment.share_refunded(payment.monthly_nanos)


def awaits_verification(account: Account, plan: Plan) -> bool:
    """Whether the free allowance waits for the address to be verified."""
    return is_free_allowance(account, plan) and not is_trusted(account)


def is_free_allowance(account: Account, plan: Plan) -> bool:
    return account.kind == "personal" and plan.is_free


def is_trusted(account: Account) -> bool:
    """Whether free credits may be given: to a verified address, where verification is required."""
    return account.owner.is_verified or not Setting.get("require_verified_email")


def monthly_amount(account: Account, plan: Plan) -> int:
    """What the account gets of the plan a month: an address gets the free allowance once."""
    return 0 if is_had_elsewhere(account, plan) else amount_of_plan(account, plan)


def amount_of_plan(account: Account, plan: Plan) -> int:
    """What the plan gives such an account a month; a team gets nothing for free."""
    if plan.is_free:
        return 0 if account.kind == "team" else plan.allowance_nanos
    subscription = Subscription.in_force_for(account.id)
    return sold_monthly(subscription, plan) if subscription else plan.allowance_nanos


def sold_monthly(subscription: Subscription, plan: Plan) -> int:
    """What the plan gives the subscription a month, less the rate of tax that was in the price of its last period."""
    paid = Payment.last_period_of(subscription.id)
    return net_allowance(plan, paid) if paid else plan.allowance_nanos


def net_allowance(plan: Plan, payment: Payment) -> int:
    """A month's allowance by what was paid without the tax that the price holds."""
    paid = payment.total_cents - (payment.tax_cents - payment.included_tax_cents)
    return plan.allowance_without_tax(paid, payment.included_tax_cents)


def is_had_elsewhere(account: Account, plan: Plan) -> bool:
    """Whether the free allowance of the address goes to another open account of it: to the one that had it in the
    month of this period, or in the month before."""
    if not is_free_allowance(account, plan):
        return False
    months = (f"{anniversary(account.period_start.replace(day=1), months):%Y-%m}" for months in (-1, 0))
    keys = [refill_key(account, plan, month) for month in months]
    had = LedgerEntry.key.in_(keys), Account.id != account.id, Account.closed_at.is_(None)
    others = select(Account).join(LedgerEntry, LedgerEntry.account_id == Account.id).where(*had)
    mark = address_mark(account.owner.email)
    return any(address_mark(other.owner.email) == mark for other in db.session.scalars(others))


def has_refill_for(account: Account, plan: Plan, month: str) -> bool:
    """Whether a refill of whatever plan states that month already, here or at another account of the address."""
    of_month = LedgerEntry.account_id == account.id, LedgerEntry.kind == "refill", LedgerEntry.month == month
    if db.session.scalar(select(LedgerEntry.id).where(*of_month).limit(1)):
        return True
    key = refill_key(account, plan, month)
    return db.session.scalar(select(LedgerEntry.id).where(LedgerEntry.key == key)) is not None


def refill_key(account: Account, plan: Plan, month: str) -> str:
    """Free allowance is once per address and month, also after deletion; other plans' once per account and month."""
    if is_free_allowance(account, plan):
        return f"refill:{address_mark(account.owner.email)}:{month}"
    return f"refill:account-{account.id}:{month}"


def give_welcome_credit(account: Account) -> None:
    """The welcome credit of a locked personal account: once for the account and once for the address, ever."""
    amount = Setting.get("welcome_credit")
    if not amount or account.kind != "personal" or not is_trusted(account):
        return
    given = LedgerEntry.account_id == account.id, LedgerEntry.kind == "welcome"
    if db.session.scalar(select(LedgerEntry.id).where(*given).limit(1)) is None:
        key = f"welcome:{address_mark(account.owner.email)}"
        LedgerEntry.post(account, "welcome", key, credits=amount)


def give_free_credits(account: Account) -> None:
    """What a locked account may have for free by now: the month's allowance and the welcome credit."""
    refill_if_due(account)
    give_welcome_credit(account)


@dataclass(frozen=True, slots=True)
class NextRefill:
    """What comes next: `amount` nanos of `plan`. `at` is None where it comes as soon as the open invoice is paid."""

    at: datetime | None
    amount: int
    plan: Plan
    needs_payment: bool = False


def next_refill(account: Account, at: datetime) -> NextRefill | None:
    """The next refill that gives anything, as `refill_if_due` and paid invoices will give it; None where none comes."""
    if account.closed_at is not None:
        return None
    subscription = Subscription.in_force_for(account.id)
    if subscription is None:
        return next_unpaid(account, account.plan, account.billing_anchor, max(at, account.period_end))
    return next_of_year(account, subscription, at) or next_of_subscription(account, subscription, at)


def next_unpaid(account: Account, plan: Plan, anchor: datetime, begins: datetime) -> NextRefill | None:
    """The first month from `begins` on that has had no refill yet, on a plan that needs no payment."""
    amount = monthly_amount(account, plan)
    if not amount or awaits_verification(account, plan):
        return None
    return NextRefill(first_open_month(account, plan, anchor, begins), amount, plan)


def first_open_month(account: Account, plan: Plan, anchor: datetime, begins: datetime) -> datetime:
    months, comes = max(0, months_between(anchor, begins)), begins
    while has_refill_for(account, plan, f"{anniversary(anchor, months):%Y-%m}"):
        months += 1
        comes = anniversary(anchor, months)
    return comes


def next_of_year(account: Account, subscription: Subscription, at: datetime) -> NextRefill | None:
    """The next month within a paid year, if there is one and it gives anything."""
    if not is_within_paid_year(subscription, at):
        return None
    begins = max(at, account.period_end)
    comes = first_open_month(account, account.plan, account.billing_anchor, begins)
    amount = share_of_year(Payment.of_year(subscription.id), amount_of_plan(account, account.plan))
    if not amount or not is_within_paid_year(subscription, comes):
        return None
    return NextRefill(comes, amount, account.plan)


def next_of_subscription(account: Account, subscription: Subscription, at: datetime) -> NextRefill | None:
    """What the next invoice gives; of one that ends, what the free plan gives after it."""
    paid_until = subscription.trial_end if subscription.is_trialing else subscription.paid_until
    is_paid = paid_until is not None and paid_until > at
    if subscription.former_account_id is not None:
        return next_unpaid(account, Plan.default(), account.created_at, max(at, paid_until or at))
    if subscription.follower is not None and (is_paid or not subscription.is_unpaid):
        ends = max(at, subscription.period_end or at)
        return next_unpaid(account, subscription.follower, account.created_at, ends)
    comes = paid_until if is_paid else next_invoice(subscription, at)
    plan = subscription.pending_plan if comes and subscription.pending_plan else subscription.plan
    amount = sold_monthly(subscription, plan)
    return NextRefill(comes, amount, plan, needs_payment=True) if amount else None


def next_invoice(subscription: Subscription, at: datetime) -> datetime | None:
    """Where a period that has begun isn't paid: the next one, if its invoice was voided or written off; None while it
    is open, or still a draft."""
    begun, ends = subscription.period_start, subscription.period_end
    is_open = subscription.is_unpaid or subscription.pay_url or begun is None or at < begun + DRAFT_LASTS
    return None if is_open or ends is None or ends <= at else ends
