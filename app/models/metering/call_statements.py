"""Reserve and settle as PostgreSQL takes them: one statement each, which is a transaction by itself.

No rule stands here: those of `account_state.py`, `balance.py` and `gate_decision.py` take the columns. The account
moves only if the decision to reserve still holds as its row stands by then; otherwise nothing else is written.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Date,
    Integer,
    bindparam,
    insert,
    or_,
    select,
    true,
    update,
)

from app.db.compiled_statement import CompiledStatement, StatementConnection
from app.db.types import UtcDateTime
from app.models.metering.account_state import ACCOUNTS, COLUMNS, FIELDS, MOVED, PLANS, ROW, AccountState
from app.models.metering.balance import Clock, Payment
from app.models.metering.call import RECEIPT, Admission, Ending, settled_differences
from app.models.metering.gate_decision import Bounds, still_admits
from app.models.metering.usage import USAGES

A, U = ACCOUNTS.c, USAGES.c
FIGURES = [A[column] for column in MOVED.values()]
THIS = A.id == bindparam("account")
NOW, BEGAN = (bindparam(name, type_=UtcDateTime) for name in ("now", "began"))
CLOCK = Clock(
    bindparam("today", type_=Date),
    bindparam("hour", type_=UtcDateTime),
    bindparam("hour_number", type_=Integer),
)


class ExtraRows(Protocol):
    """Rows that are written together with a call: messages, the text of a document.

    `shape` tells their statement from others, which is compiled once for each; `values` are its parameters.
    """

    @property
    def shape(self) -> Hashable: ...

    @property
    def values(self) -> Mapping[str, Any]: ...

    def parts(self, call: CTE) -> Sequence[CTE]:
        """Their statements, each of which writes nothing where `call` (its columns: id, account_id) has no row.

        Those that have a column `id` are asked for it, in their order.
        """

    def write(self, connection: StatementConnection, call_id: int) -> Sequence[int]:
        """The same, one after another, where there is no such statement; returns the ids."""


def amount(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


BOUNDS = Bounds(*map(amount, Bounds._fields))


def changed(differences: Mapping[str, Any]) -> dict[str, Any]:
    """The account's columns after these differences."""
    moved = ROW.moved(CLOCK, **differences)
    new = {column: getattr(moved, name) for name, column in MOVED.items()}
    return {column: value for column, value in new.items() if value is not A[column]}


def clock_values(at: datetime) -> dict[str, Any]:
    clock = Clock.at(at)
    return {"today": clock.day, "hour": clock.hour, "hour_number": clock.number}


class Statements:
    """One statement for each shape, made when it is first asked for."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._made: dict[Hashable, CompiledStatement] = {}

    def of(self, shape: Hashable, *arguments: Any) -> CompiledStatement:
        if shape not in self._made:
            self._made[shape] = CompiledStatement(self._make(*arguments))
        return self._made[shape]


def reserving(columns: Sequence[str], extra: ExtraRows | None, is_exact: bool) -> Any:
    """Move the account if it may still be moved, and write the call and what belongs to it."""
    same = A.plan_id == bindparam("plan"), A.period_end == bindparam("period_end", type_=UtcDateTime)
    seen = [A[column] == bindparam(f"seen_{name}", type_=A[column].type) for name, column in MOVED.items()]
    moved = (
        update(ACCOUNTS)
        .where(THIS, *same, still_admits(ROW, CLOCK, BOUNDS), *(seen if is_exact else ()))
        .values(changed({"reserved": BOUNDS.ceiling, "running_calls": 1}))
        .returning(*FIGURES)
        .cte("moved")
    )
    row = [bindparam(name, type_=U[name].type).label(name) for name in columns]
    call = (
        insert(USAGES)
        .from_select([*columns], select(*row).select_from(moved), include_defaults=False)
        .returning(U.id, U.account_id)
        .cte("call")
    )
    parts = extra.parts(call) if extra else ()
    made = [part for part in parts if "id" in part.c]
    figures = [moved.c[column] for column in MOVED.values()]
    written = select(call.c.id, *figures, *(part.c.id for part in made))
    return written.select_from(joined(moved, call, *made)).add_cte(*parts)


def joined(first: CTE, *others: CTE) -> Any:
    """All beside each other: each has one row, or none."""
    all_of_them: Any = first
    for other in others:
        all_of_them = all_of_them.join(other, true())
    return all_of_them


def settling(extra: ExtraRows | None) -> Any:
    """Hold the account, split the cost as it stands by then, close the call if it runs, move the account.

    Without a row: a refill is due first.
    """
    is_open = or_(bindparam("is_held", type_=Boolean), A.period_end > NOW, A.closed_at.is_not(None))
    held = (
        select(*(column.label(name) for name, column in zip(FIELDS, COLUMNS, strict=True)))
        .join_from(ACCOUNTS, PLANS)
        .where(THIS, is_open)
        .with_for_update(of=ACCOUNTS)
        .cte("held")
    )
    paid = paying(held)
    closed = closing(paid)
    payment = Payment(closed.c.allowance_paid_nanos, closed.c.credits_paid_nanos, closed.c.absorbed_nanos)
    differences = settled_differences(
        payment,
        amount("reserved"),
        is_today=bindparam("is_today", type_=Boolean),
        is_in_window=ROW.is_in_window(BEGAN, CLOCK),
        is_counted=bindparam("is_counted", type_=Boolean),
    )
    moved = (
        update(ACCOUNTS)
        .where(THIS, A.id == closed.c.account_id)
        .values(changed(differences))
        .returning(*FIGURES)
        .cte("moved")
    )
    parts = extra.parts(closed) if extra else ()
    settled = select(*held.c, *moved.c, payment.allowance, payment.credits, payment.absorbed)
    rows = held.outerjoin(closed, true()).outerjoin(moved, true())
    return settled.select_from(rows).add_cte(*parts)


def paying(held: CTE) -> CTE:
    """What pays for the call, as `Balance.pay` has it."""
    balance = AccountState(*held.c).balance(CLOCK)
    payment = balance.pay(amount("cost"), amount("most"), amount("overdraft"))
    names = "allowance", "credits", "absorbed"
    shares = (getattr(payment, name).label(name) for name in names)
    return select(held.c.account_id, *shares).cte("paid")


def closing(paid: CTE) -> CTE:
    """Write the receipt onto the usage row, where it is running."""
    receipt: dict[str, Any] = {name: bindparam(f"new_{name}", type_=U[name].type) for name in RECEIPT}
    receipt["allowance_paid_nanos"] = paid.c.allowance
    receipt["credits_paid_nanos"] = paid.c.credits
    receipt["absorbed_nanos"] = paid.c.absorbed
    is_this = U.account_id == bindparam("account"), U.id == bindparam("usage"), U.state == "running"
    return (
        update(USAGES)
        .where(*is_this, U.account_id == paid.c.account_id)
        .values(receipt)
        .returning(U.id, U.account_id, U.allowance_paid_nanos, U.credits_paid_nanos, U.absorbed_nanos)
        .cte("closed")
    )


RESERVE, SETTLE = Statements(reserving), Statements(settling)


def run_reserve(
    wanted: Admission, extra: ExtraRows | None, row: dict[str, Any], connection: StatementConnection
) -> tuple[int, dict[str, Any], Sequence[int]] | None:
    """The id of the usage row, the account's figures by then, the ids of the extra rows; None where nothing moved."""
    account_state = wanted.account_state
    read = {
        "account": account_state.account_id,
        "plan": account_state.plan_id,
        "period_end": account_state.period_end,
        **wanted.bounds._asdict(),
        **{f"seen_{name}": getattr(account_state, name) for name in MOVED},
    }
    statement = RESERVE.of((*row, extra.shape if extra else None, wanted.is_exact), [*row], extra, wanted.is_exact)
    written = statement.first(connection, row | read | clock_values(wanted.now) | (dict(extra.values) if extra else {}))
    if written is None:
        return None
    usage_id, *rest = written
    return usage_id, dict(zip(MOVED, rest, strict=False)), rest[len(MOVED) :]


def run_settle(
    ending: Ending, extra: ExtraRows | None, connection: StatementConnection, *, is_held: bool = False
) -> tuple[AccountState, AccountState, Payment | None] | None:
    """The account before and after and what paid, None where the call was closed before; None where a refill is due."""
    reservation = ending.reservation
    values = (
        ending.key
        | clock_values(ending.now)
        | {f"new_{name}": value for name, value in ending.row.items()}
        | {
            "cost": ending.cost,
            "most": ending.most,
            "overdraft": reservation.overdraft,
            "reserved": reservation.ceiling,
            "is_today": ending.is_today,
            "is_counted": ending.is_counted,
            "began": reservation.began,
            "now": ending.now,
            "is_held": is_held,
        }
    )
    statement = SETTLE.of(extra.shape if extra else None, extra)
    row = statement.first(connection, values | (dict(extra.values) if extra else {}))
    if row is None:
        return None
    before, figures, paid = AccountState(*row[: len(FIELDS)]), row[len(FIELDS) : -3], row[-3:]
    if paid[0] is None:
        return before, before, None
    return before, replace(before, **dict(zip(MOVED, figures, strict=True))), Payment(*paid)
