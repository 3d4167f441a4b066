"""What the record holds of a few accounts at a time: opening balances, and what happened then."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, and_, func, or_, select

from app.lab.breaker import Guards, read_guards
from app.lab.record import Call, Entry, Limits, opening
from app.lab.scenario import Pair, Scenario, Terms
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.refund import NOT_MADE, Dispute, Refund, lost_between
from app.models.catalog.worth import without_tax
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.breaker import LONGEST_CALL
from app.models.metering.call import PAID_OUTCOMES
from app.models.metering.usage import BUCKETS, USAGES
from app.models.operations.refused_call import RefusedCall
from app.providers.base import TokenUsage

ACCOUNTS: Table = Account.__table__  # type: ignore[assignment]
ENTRIES: Table = LedgerEntry.__table__  # type: ignore[assignment]
PAYMENTS: Table = Payment.__table__  # type: ignore[assignment]
REFUNDS: Table = Refund.__table__  # type: ignore[assignment]
REFUSED: Table = RefusedCall.__table__  # type: ignore[assignment]
SLICE = 5_000
CALL_COLUMNS = (
    *BUCKETS, "id", "account_id", "created_at", "settled_at", "plan_id", "model", "price_id", "api_key_id", "state",
    "outcome", "reserved_nanos", "max_output_tokens", "cost_nanos", "allowance_paid_nanos", "credits_paid_nanos",
    "absorbed_nanos", "image_price_id", "provider_nanos",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Habitual:
    """An ordinary call of a model in this period: what a refused one is taken to have used."""

    input_tokens: int
    output_tokens: int
    seconds: float


@dataclass(slots=True)
class Past:
    """One account: as it was when the days begin, and what the record has of it."""

    state: AccountState
    entries: list[Entry]
    refused: list[Any]
    money: list[tuple[datetime, int, int, Any]]
    guards: Guards | None
    ends_with: int
    """Allowance and credits at the end of the days, by the record."""


def selected(scenario: Scenario) -> Any:
    """Which accounts: those of the chosen plans and kinds that were there by then; guests pay nothing."""
    chosen = [ACCOUNTS.c.kind != "house", ACCOUNTS.c.created_at < scenario.ends]
    chosen += [ACCOUNTS.c.plan_id.in_(scenario.plan_ids)] if scenario.plan_ids else []
    return and_(*chosen, *([ACCOUNTS.c.kind.in_(scenario.kinds)] if scenario.kinds else []))


def count_accounts(connection: Connection, scenario: Scenario) -> int:
    return int(connection.scalar(select(func.count()).select_from(ACCOUNTS).where(selected(scenario))) or 0)


def accounts_after(connection: Connection, scenario: Scenario, last: int, most: int) -> list[int]:
    ids = select(ACCOUNTS.c.id).where(selected(scenario), ACCOUNTS.c.id > last)
    return list(connection.scalars(ids.order_by(ACCOUNTS.c.id).limit(most)))


def habitual(connection: Connection, scenario: Scenario) -> dict[str, Habitual]:
    """An ordinary call of each model, the most used first."""
    inputs = sum((USAGES.c[bucket] for bucket in BUCKETS[1:4]), USAGES.c[BUCKETS[0]])
    query = select(USAGES.c.model, func.avg(inputs), func.avg(USAGES.c.output)).where(
        USAGES.c.state == "settled",
        USAGES.c.settled_at >= scenario.begins,
        USAGES.c.settled_at < scenario.ends,
        USAGES.c.model != "elsewhere",
    )
    rows = connection.execute(query.group_by(USAGES.c.model).order_by(func.count().desc()))
    return {model: Habitual(int(read), max(1, int(written)), SECONDS) for model, read, written in rows}


Sums = tuple[int, int]
NOTHING: Sums = 0, 0
SECONDS = 5.0
"""How long a call is taken to run that was refused in truth."""


def pasts(connection: Connection, scenario: Scenario, terms: Terms, ids: Sequence[int]) -> dict[int, Past]:
    """The accounts as they were, with everything but their calls, which are read one by one."""
    accounts = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.id.in_(ids))).all()
    payments = {row.id: row for row in connection.execute(select(PAYMENTS).where(PAYMENTS.c.account_id.in_(ids)))}
    entries, after = entries_of(connection, scenario, ids)
    paid, paid_after = paid_of(connection, scenario, ids)
    limits = limits_of(connection, scenario, terms, ids)
    refused = refused_of(connection, scenario, ids)
    money = money_of(connection, scenario, payments)
    guards = read_guards(connection, scenario, terms, ids)
    by_account = {}
    for row in accounts:
        mine = [entry_of(entry, row.plan_id, payments, terms) for entry in entries.get(row.id, ())]
        now = row.allowance_nanos, row.credits_nanos
        ends = before(now, after.get(row.id, ()), paid_after.get(row.id, NOTHING))
        moved = [(entry.allowance, entry.credits) for entry in mine]
        begins = before(ends, moved, paid.get(row.id, NOTHING))
        state = opening(
            row.id,
            row.kind,
            row.plan_id,
            scenario.begins,
            allowance=begins[0],
            credits=begins[1],
            limits=limits.get(row.id) or Limits.of(row),
        )
        attempts = refused.get(row.id, [])
        was_guarded = row.breaker == "on" or any(one.code == "spending_paused" for one in attempts)
        by_account[row.id] = Past(
            state, mine, attempts, money.get(row.id, []), guards[row.id] if was_guarded else None, sum(ends)
        )
    return by_account


def before(balance: Sums, moved: Iterable[Sums], spent: Sums) -> Sums:
    """Allowance and credits before what entries moved and calls took of them."""
    moves = list(moved)
    allowance, credits = (
        amount - sum(move[part] for move in moves) + spent[part] for part, amount in enumerate(balance)
    )
    return allowance, credits


def entries_of(connection: Connection, scenario: Scenario, ids: Sequence[int]) -> tuple[Any, Any]:
    """By account: the entries of these days in order, and what later ones moved."""
    rows = connection.execute(
        select(ENTRIES)
        .where(ENTRIES.c.account_id.in_(ids), ENTRIES.c.created_at >= scenario.begins)
        .order_by(ENTRIES.c.created_at, ENTRIES.c.id)
    )
    inside, after = defaultdict(list), defaultdict(list)
    for row in rows:
        if row.created_at < scenario.ends:
            inside[row.account_id].append(row)
        else:
            after[row.account_id].append((row.allowance_nanos, row.credits_nanos))
    return inside, after


def paid_of(connection: Connection, scenario: Scenario, ids: Sequence[int]) -> tuple[Any, Any]:
    """By account: what calls took from allowance and credits in this period, and later."""
    sums = func.sum(USAGES.c.allowance_paid_nanos), func.sum(USAGES.c.credits_paid_nanos)
    settled = (
        USAGES.c.account_id.in_(ids),
        USAGES.c.state == "settled",
        USAGES.c.settled_at >= scenario.begins,
    )
    query = select(USAGES.c.account_id, *sums).where(*settled).group_by(USAGES.c.account_id)
    within, later = USAGES.c.settled_at < scenario.ends, USAGES.c.settled_at >= scenario.ends
    return tuple(
        {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query.where(when))}
        for when in (within, later)
    )  # type: ignore[return-value]


def limits_of(connection: Connection, scenario: Scenario, terms: Terms, ids: Sequence[int]) -> dict[int, Limits]:
    """The limits of time that came with the last refill before these days, where the record knows of which plan."""
    of_plan = ENTRIES.c.kind.in_(("refill", "trial")), ENTRIES.c.plan_id.is_not(None)
    last = select(func.max(ENTRIES.c.id)).where(
        ENTRIES.c.account_id.in_(ids), *of_plan, ENTRIES.c.created_at < scenario.begins
    )
    rows = select(ENTRIES.c.account_id, ENTRIES.c.plan_id).where(ENTRIES.c.id.in_(last.group_by(ENTRIES.c.account_id)))
    return {row.account_id: Limits.of(terms.plans[row.plan_id].was) for row in connection.execute(rows)}


def refused_of(connection: Connection, scenario: Scenario, ids: Sequence[int]) -> dict[int, list[Any]]:
    rows = select(REFUSED).where(
        REFUSED.c.account_id.in_(ids),
        REFUSED.c.created_at >= scenario.begins,
        REFUSED.c.created_at < scenario.ends,
    )
    by_account = defaultdict(list)
    for row in connection.execute(rows.order_by(REFUSED.c.created_at, REFUSED.c.id)):
        by_account[row.account_id].append(row)
    return by_account


def money_of(
    connection: Connection, scenario: Scenario, payments: dict[int, Any]
) -> dict[int, list[tuple[datetime, int, int, Any]]]:
    """By account: moment, cents without tax, whether it is a payment, and which; negative what came off it later."""
    by_account = defaultdict(list)
    for row in payments.values():
        if row.state == "paid" and row.paid_at and scenario.begins <= row.paid_at < scenario.ends:
            by_account[row.account_id].append((row.paid_at, untaxed(row, row.price_cents), 1, row))
    back = select(REFUNDS).where(
        REFUNDS.c.payment_id.in_(payments),
        REFUNDS.c.refunded_at >= scenario.begins,
        REFUNDS.c.refunded_at < scenario.ends,
        REFUNDS.c.status.not_in(NOT_MADE),
    )
    for refund in connection.execute(back) if payments else ():
        payment = payments[refund.payment_id]
        by_account[payment.account_id].append((refund.refunded_at, -untaxed(payment, refund.amount_cents), 0, payment))
    lost = lost_between(scenario.begins, scenario.ends).where(Dispute.payment_id.in_(payments))
    for payment_id, at in connection.execute(lost) if payments else ():
        payment = payments[payment_id]
        gone = untaxed(payment, payment.price_cents - payment.refunded_cents)
        by_account[payment.account_id].append((at, -gone, 0, payment))
    return by_account


def untaxed(payment: Any, cents: int) -> int:
    return without_tax(cents, payment.total_cents, payment.tax_cents)


def entry_of(row: Any, plan_id: int, payments: dict[int, Any], terms: Terms) -> Entry:
    payment = payments.get(row.payment_id) if row.payment_id else None
    return Entry(
        row.created_at, row.kind, row.key, row.allowance_nanos, row.credits_nanos, row.plan_id,
        scale_of(row, plan_id, payment, terms),
    )  # fmt: skip


def scale_of(row: Any, plan_id: int, payment: Any, terms: Terms) -> tuple[int, int]:
    """What gave an entry is worth, as it is and as it would be; alike for what no plan or pack gives."""
    if payment is not None and payment.pack_id:
        return worths_of(payment, terms.packs[payment.pack_id])
    if row.kind == "trial":
        pair = terms.plans[row.plan_id or plan_id]
        return pair.was.trial_nanos, pair.then.trial_nanos
    if row.kind in ("refill", "plan_change") or payment is not None:
        pair = terms.plans[(payment.plan_id if payment else None) or row.plan_id or plan_id]
        return pair.was.allowance_nanos, pair.then.allowance_nanos
    return 1, 1


def worths_of(payment: Any, pair: Pair) -> tuple[int, int]:
    """The whole purchase of a pack: its quantity reaches a tier, an amount of it has the pack's margin."""
    amount = payment.price_cents if pair.was.is_any_amount else None
    was, then = (pack.quote(payment.quantity, amount).worth_nanos for pack in (pair.was, pair.then))
    return was, then


def calls_of(connection: Connection, scenario: Scenario, ids: Sequence[int]) -> Iterator[tuple[int, Iterator[Any]]]:
    """Account by account, the calls that began in this period or ran into them; a few rows in memory."""
    began = and_(USAGES.c.created_at >= scenario.begins - LONGEST_CALL, USAGES.c.created_at < scenario.ends)
    ran_into = or_(
        USAGES.c.created_at >= scenario.begins,
        USAGES.c.settled_at >= scenario.begins,
        USAGES.c.settled_at.is_(None),
    )
    query = select(*(USAGES.c[name] for name in CALL_COLUMNS)).where(USAGES.c.account_id.in_(ids), began, ran_into)
    rows = connection.execution_options(yield_per=SLICE).execute(
        query.order_by(USAGES.c.account_id, USAGES.c.created_at, USAGES.c.id)
    )
    yield from groupby(rows, key=lambda row: row.account_id)


def call_of(row: Any, plan_id: int) -> Call:
    return Call(
        row.id, row.created_at, row.settled_at, row.plan_id or plan_id, row.model, row.price_id,
        row.reserved_nanos, row.max_output_tokens, row.state == "settled",
        row.outcome in PAID_OUTCOMES and row.state != "settled", TokenUsage(*row[:7]),
        row.api_key_id, row.image_price_id, row.provider_nanos,
    )  # fmt: skip
