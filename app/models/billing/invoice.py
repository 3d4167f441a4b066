"""What a paid invoice of a subscription gives: a period's refill, or growth; once. billing-rules.md 7."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.extensions import db
from app.models.base import share
from app.models.billing.allowance_refill import net_allowance, refill
from app.models.billing.ended_allowance import key_of_late
from app.models.billing.growth import awaits_period, growth, period_around
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch
from app.models.billing.refund import take_share
from app.models.billing.stripe_objects import InvoiceState, LineState
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account, anniversary

LATE = "An invoice of a subscription that had ended was paid"


@dataclass(frozen=True, slots=True)
class Sale:
    """What an invoice sold of ours: a whole period of a plan, or the rest of a running one.

    `before`: with a period, the rest of the one before it, of a change that was made at Stripe's dashboard.
    """

    plan: Plan
    line: LineState
    is_period: bool
    before: "Sale | None" = None


def is_charged(invoice: InvoiceState) -> bool:
    """Whether an invoice was paid and sold something: the first one of a trial sells nothing."""
    return invoice.is_paid and any(line.amount > 0 or invoice.sells(line) for line in invoice.lines)


def by_payment(invoice: InvoiceState) -> tuple[datetime, datetime, bool, str]:
    """Of one second, that which sells a period comes before that which makes it grow."""
    is_growth = not invoice.period_lines
    return invoice.paid_at or invoice.created_at, invoice.created_at, is_growth, invoice.stripe_id


def apply_invoices(subscription: Subscription, account: Account, invoices: Iterable[InvoiceState]) -> None:
    """In the order in which they were paid; a change comes after the period that it is of, whenever that was paid."""
    charged = sorted(filter(is_charged, invoices), key=by_payment)
    for invoice in (*charged, *(one for one in charged if not one.period_lines)):
        apply_invoice(subscription, account, invoice)


def apply_invoice(subscription: Subscription, account: Account, invoice: InvoiceState) -> None:
    """What a paid invoice gives, once. One that cannot be explained is parked, and holds up no other."""
    payment = Payment.by(stripe_invoice_id=invoice.stripe_id)
    if payment is not None and payment.state != "parked":
        payment.stripe_payment_intent_id = payment.stripe_payment_intent_id or invoice.payment_intent_id
        give_what_waited(subscription, account, payment, invoice)
        return
    payment = payment or payment_for(subscription, invoice)
    try:
        sale = sale_of(subscription, invoice)
    except Mismatch as mismatch:
        payment.park(str(mismatch))
        return
    payment.state, payment.review_reason = "paid", not_ours(subscription, invoice, sale)
    if sale is not None and not subscription.rejected_at:
        payment.plan_id = sale.plan.id
        give(subscription, account, payment, invoice, sale)


def payment_for(subscription: Subscription, invoice: InvoiceState) -> Payment:
    payment = Payment(kind="invoice", state="open", account_id=subscription.account_id, user_id=subscription.user_id)
    payment.price_cents, payment.discount_cents = invoice.paid_cents, invoice.discount_cents
    payment.currency = invoice.currency
    asked = invoice.total_cents, invoice.tax_cents, invoice.included_tax_cents
    payment.total_cents, payment.tax_cents, payment.included_tax_cents = uncredited(invoice, *asked)
    payment.subscription_id, payment.plan_id = subscription.id, subscription.plan_id
    payment.stripe_invoice_id, payment.stripe_payment_intent_id = invoice.stripe_id, invoice.payment_intent_id
    payment.paid_at, payment.number, payment.page_url = invoice.paid_at, invoice.number, invoice.page_url
    payment.pdf_url, payment.method = invoice.pdf_url, subscription.card_label
    payment.worth_nanos = payment.refunded_cents = 0
    db.session.add(payment)
    db.session.flush()
    return payment


def uncredited(invoice: InvoiceState, *amounts: int) -> list[int]:
    """What is left of amounts of an invoice after credit notes that came before its payment."""
    total = max(0, invoice.total_cents)
    left = max(0, total - invoice.credited_cents)
    return [share(max(0, amount), left, total) if invoice.credited_cents and total else amount for amount in amounts]


def sale_of(subscription: Subscription, invoice: InvoiceState) -> Sale | None:
    """What was sold of ours; None where nothing was. Mismatch where that cannot be said."""
    if invoice.currency != subscription.currency:
        raise Mismatch(f"invoice {invoice.stripe_id} is in {invoice.currency}, not {subscription.currency}")
    grown = growth_sold(subscription, invoice)
    for line in invoice.period_lines:
        if plan := subscription.plan_of(line.price_id):
            check_amount(subscription, plan, line)
            before = grown if net_growth(subscription, invoice) else None
            return Sale(plan, line, is_period=True, before=before)
    if grown:
        if subscription.ended_at is None and period_around(subscription, grown.line.starts_at) is None:
            raise Mismatch(f"subscription {subscription.stripe_id} was changed before its first period was paid")
        return grown
    if invoice.period_lines:
        raise Mismatch(f"price {invoice.period_lines[0].price_id} at Stripe is no plan's")
    return None


def growth_sold(subscription: Subscription, invoice: InvoiceState) -> Sale | None:
    sold = [
        Sale(plan, line, is_period=False)
        for line in invoice.growth_lines
        if (plan := subscription.plan_of(line.price_id))
    ]
    return max(sold, key=lambda sale: sale.plan.allowance_nanos, default=None)


def check_amount(subscription: Subscription, plan: Plan, line: LineState) -> None:
    known = plan.price_cents, subscription.price_cents, line.unit_cents
    if line.amount not in {line.quantity * cents for cents in known if cents is not None}:
        raise Mismatch(f"{line.amount} cents were asked for {plan.name}, which costs {plan.price_cents}")


def not_ours(subscription: Subscription, invoice: InvoiceState, sale: Sale | None) -> str:
    """A note on what the invoice sold beside: it is worth nothing here."""
    sold = [line for line in invoice.lines if line.amount > 0 and not (line.is_proration and line.is_of_item)]
    others = [line for line in sold if sale is None or line is not sale.line]
    notes = [f"{line.description or line.price_id or 'a line'} ({line.amount} cents) is not ours" for line in others]
    notes += foreign_discount(subscription, invoice) + taken_off(invoice)
    if sale is not None and sale.line.quantity != 1:
        notes.append(f"quantity {sale.line.quantity} at Stripe; one is worth credits")
    return "; ".join(notes)[:1000]


def taken_off(invoice: InvoiceState) -> list[str]:
    """Notes on credits that were made at Stripe: what was given stays, so they are paid from our margin."""
    own = [line for line in invoice.lines if line.is_proration and line.is_of_item]
    credited = invoice.credited_cents
    notes = [f"credit notes took {credited} cents off; the worth stays whole"] if credited else []
    notes += [
        f"{line.description or 'a line'} takes {-line.amount} cents off; the worth stays whole"
        for line in invoice.lines
        if line.amount < 0 and line not in own
    ]
    back = -sum(line.amount for line in own)
    return [*notes, f"{back} cents came back for a change at Stripe; what was given stays"] if back > 0 else notes


def foreign_discount(subscription: Subscription, invoice: InvoiceState) -> list[str]:
    """A note on a discount that was not made here: the worth is whole, so it is paid from our margin."""
    if not invoice.discount_cents:
        return []
    foreign = [one for one in invoice.coupon_ids if PromotionCode.with_coupon(one) is None]
    own = subscription.redemption is not None and subscription.redemption.code.kind == "discount"
    if not foreign and (invoice.coupon_ids or own):
        return []
    named = f" (coupon {', '.join(foreign)})" if foreign else ""
    return [f"a discount of {invoice.discount_cents} cents was made at Stripe{named}; the worth stays whole"]


def give(subscription: Subscription, account: Account, payment: Payment, invoice: InvoiceState, sale: Sale) -> None:
    if subscription.ended_at and invoice.paid_at and invoice.paid_at > subscription.ended_at:
        give_credits(subscription, account, payment, invoice, sale)
    elif sale.is_period:
        begin_period(subscription, account, payment, sale)
    elif not awaits_period(subscription, sale.line.starts_at):
        grow(subscription, account, payment, sale)
    if sale.is_period:
        give_bonus(subscription, account, payment, sale.plan)


def give_what_waited(subscription: Subscription, account: Account, payment: Payment, invoice: InvoiceState) -> None:
    """What a change gives, once the period that it is of is paid; in credits, where that never came."""
    if payment.worth_nanos or invoice.period_lines or subscription.rejected_at or was_given(payment):
        return
    sale = growth_sold(subscription, invoice)
    if sale is None:
        return
    if subscription.ended_at:
        give_credits(subscription, account, payment, invoice, sale)
    elif not awaits_period(subscription, sale.line.starts_at):
        grow(subscription, account, payment, sale)
    if payment.refunded_cents:
        take_share(payment, account, f"refund:{payment.stripe_invoice_id}")


def was_given(payment: Payment) -> bool:
    keys = key_of_growth(payment), key_of_late(payment.stripe_invoice_id)
    return db.session.scalar(select(LedgerEntry.id).where(LedgerEntry.key.in_(keys)).limit(1)) is not None


def key_of_growth(payment: Payment) -> str:
    return f"plan_change:{payment.stripe_invoice_id}"


def give_bonus(subscription: Subscription, account: Account, payment: Payment, plan: Plan) -> None:
    """What a code adds to the first paid period: credits, by an entry of their own, once for the subscription."""
    redemption = subscription.redemption
    if redemption is None or not redemption.bonus_nanos:
        return
    bonus = min(redemption.bonus_nanos, redemption.code.bonus_nanos(plan.period_nanos))
    columns: Any = {"subscription_id": subscription.id, "payment_id": payment.id}
    if LedgerEntry.post(account, "bonus", f"bonus:{subscription.stripe_id}", credits=bonus, **columns):
        payment.bonus_nanos = bonus
        payment.worth_nanos += bonus


def give_credits(
    subscription: Subscription, account: Account, payment: Payment, invoice: InvoiceState, sale: Sale
) -> None:
    """An invoice that was paid after the end has no period left to serve: what it sold is credited for good."""
    plan = sale.plan
    net = net_allowance(plan, payment)
    whole = net * 12 if plan.interval == "year" else net
    sold = plan.price_cents if sale.is_period else net_growth(subscription, invoice)
    payment.worth_nanos = share(whole, min(sold, plan.price_cents), plan.price_cents)
    columns: Any = {"subscription_id": subscription.id, "payment_id": payment.id, "reason": LATE}
    LedgerEntry.post(account, "purchase", key_of_late(invoice.stripe_id), credits=payment.worth_nanos, **columns)


def net_growth(subscription: Subscription, invoice: InvoiceState) -> int:
    """What the rest of the dearer period costs beyond the rest of the cheaper one, in cents."""
    ours = (line for line in invoice.lines if line.is_proration and subscription.plan_of(line.price_id))
    return max(0, sum(line.amount for line in ours))


def begin_period(subscription: Subscription, account: Account, payment: Payment, sale: Sale) -> None:
    """The refill of a new period, by what the plan is worth now; one that is paid late adds to the running one."""
    plan, line = sale.plan, sale.line
    newest = Payment.last_period_of(subscription.id)
    more = growth(subscription, sale.before.plan, sale.before.line.starts_at) if sale.before else 0
    payment.period_start, payment.period_end = line.starts_at, line.ends_at
    amount = payment.worth_nanos = net_allowance(plan, payment)
    key = f"refill:{subscription.stripe_id}:{int(line.starts_at.timestamp())}"
    columns: Any = {
        "month": f"{line.starts_at:%Y-%m}",
        "subscription_id": subscription.id,
        "payment_id": payment.id,
    }
    if newest is not None and newest.period_start > line.starts_at:  # type: ignore[operator]
        LedgerEntry.post(account, "refill", key, allowance=amount, **columns)
        return
    refill(account, plan, amount, key=key, **columns)
    for former in Payment.of_year(subscription.id):
        former.monthly_nanos = 0
    subscription.allowance_nanos = payment.monthly_nanos = amount
    subscription.paid_until = line.ends_at
    subscription.come_into_force()
    set_period(account, plan, line)
    if more:
        payment.worth_nanos += more
        LedgerEntry.post(account, "plan_change", key_of_growth(payment), allowance=more, **columns | {"month": None})


def set_period(account: Account, plan: Plan, line: LineState) -> None:
    is_yearly = plan.interval == "year"
    account.billing_anchor = line.starts_at if is_yearly else account.created_at
    account.period_start = line.starts_at
    account.period_end = anniversary(line.starts_at, 1) if is_yearly else line.ends_at


def grow(subscription: Subscription, account: Account, payment: Payment, sale: Sale) -> None:
    """A paid upgrade: what was promised before the click, by the moment that Stripe prorated at."""
    payment.worth_nanos = growth(subscription, sale.plan, sale.line.starts_at)
    columns = {"subscription_id": subscription.id, "payment_id": payment.id}
    LedgerEntry.post(account, "plan_change", key_of_growth(payment), allowance=payment.worth_nanos, **columns)
    period = Payment.last_period_of(subscription.id)
    whole = net_allowance(sale.plan, period or payment)
    payment.monthly_nanos = max(0, whole - subscription.allowance_nanos)
    subscription.allowance_nanos += payment.monthly_nanos
