"""The audit of calls: what each one cost and who paid it, derived again from its buckets and its price row.

Calls are read in slices of their ids, and their accounts backwards from the balances that stand now. What several
calls at one moment leave open (their order is not kept) is judged together. billing-rules.md 3 to 5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Row, Select, func, literal, null, select, union_all
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.base import ModelBase, utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.price import ModelPrice
from app.models.catalog.rates import Rates
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.refusal import PricingError
from app.models.metering.usage import BUCKETS, USAGES
from app.models.metering.usage_rollup import start_of
from app.models.operations.audit_log import AdminChange
from app.providers.base import TokenUsage

SLICE = 20_000
SHOWN = 10
AT_ONE_MOMENT = timedelta(seconds=5)
MARGIN = timedelta(minutes=1)
"""How much earlier than asked for events are read, so that no cluster begins in the middle."""

CALL_CHECKS = (
    "another cost",
    "payers that do not add up",
    "more paid than its ceiling",
    "something paid though it was released",
)
"""What a call's own row shows, whatever happened to its account meanwhile."""


Progress = Callable[[int, int], None]


@dataclass(slots=True)
class CallFinding:
    """Calls of one price row that fail one check: how many, and the first of them with both figures."""

    check: str
    price_id: int
    count: int = 0
    calls: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, call_id: int, stored: int, derived: int) -> None:
        self.count += 1
        if len(self.calls) < SHOWN:
            self.calls.append((call_id, stored, derived))

    @property
    def text(self) -> str:
        calls = "; ".join(f"call {call}: {stored}, derived {derived}" for call, stored, derived in self.calls)
        more = f"; and {self.count - len(self.calls)} more" if self.count > len(self.calls) else ""
        return f"price row {self.price_id}: {self.count} with {self.check} ({calls}{more})"


class CallFindings:
    """What an audit of calls found, by check and price row."""

    def __init__(self) -> None:
        self.calls = 0
        self._by: dict[tuple[str, int], CallFinding] = {}

    def add(self, check: str, call: Any, stored: int, derived: int) -> None:
        key = check, call.price_id
        self._by.setdefault(key, CallFinding(*key)).add(call.id, stored, derived)

    def all(self) -> list[CallFinding]:
        return sorted(self._by.values(), key=lambda finding: (finding.check, finding.price_id))

    @property
    def differing(self) -> int:
        return sum(finding.count for finding in self._by.values())


class CallAudit(ModelBase):
    """What the audit of the calls that ended on one UTC day came to."""

    __tablename__ = "call_audits"

    day: Mapped[date] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    differing: Mapped[int] = mapped_column(BigInteger)
    findings: Mapped[list[str]]
    finished_at: Mapped[datetime]

    @classmethod
    def last(cls) -> "CallAudit | None":
        return db.session.scalar(select(cls).order_by(cls.day.desc()).limit(1))


def audit_day(day: date) -> CallAudit | None:
    """Audit the calls that ended on that day and keep what was found; None where that was done before."""
    if db.session.get(CallAudit, day) is not None:
        return None
    findings = audit_calls(start_of(day), start_of(day + timedelta(days=1)))
    texts = [finding.text for finding in findings.all()]
    audited = CallAudit(day=day, calls=findings.calls, differing=findings.differing, findings=texts[:SHOWN])
    audited.finished_at = utcnow()
    db.session.add(audited)
    db.session.flush()
    return audited


def audit_calls(
    since: datetime | None = None, until: datetime | None = None, progress: Progress | None = None
) -> CallFindings:
    """Every check of every call that ended in that time, of all without one."""
    findings, ended = CallFindings(), within(since, until)
    prices = {price.id: price.rates for price in db.session.scalars(select(ModelPrice))}
    pieces = {price.id: price.price_nanos for price in db.session.scalars(select(ImagePrice))}
    total = db.session.scalar(select(func.count()).select_from(USAGES).where(*ended)) or 0
    for rows in slices(ended):
        for call in rows:
            fixed = pieces.get(call.image_price_id)
            cost = derived_cost(call, prices[call.price_id]) if fixed is None else image_cost(call, fixed)
            check_call(call, cost, findings)
        findings.calls += len(rows)
        if progress:
            progress(findings.calls, total)
    overdrafts = overdrafts_ever()
    for cluster in clusters(since and since - MARGIN):
        if (since is None or cluster.newest >= since) and (until is None or cluster.newest < until):
            check_payers(cluster, overdrafts, findings)
    return findings


def within(since: datetime | None, until: datetime | None) -> list[Any]:
    ended = [USAGES.c.state != "running"]
    ended += [USAGES.c.settled_at >= since] if since else []
    return ended + ([USAGES.c.settled_at < until] if until else [])


def slices(ended: list[Any]) -> Iterator[list[Row[Any]]]:
    """The calls, as many at a time as fit into memory whatever their number."""
    last = 0
    while rows := list(db.session.execute(CALLS.where(*ended, USAGES.c.id > last))):
        yield rows
        last = rows[-1].id


def check_call(call: Any, cost: int, findings: CallFindings) -> None:
    """A call by itself: its cost beside the derived one, its payers, its ceiling."""
    paid = call.allowance_paid_nanos + call.credits_paid_nanos
    payers = paid + call.absorbed_nanos
    most = 0 if call.state == "released" else paid
    holds = (
        (cost == call.cost_nanos, call.cost_nanos, cost),
        (payers == call.cost_nanos, call.cost_nanos, payers),
        (paid <= call.reserved_nanos, paid, call.reserved_nanos),
        (paid <= most, paid, most),
    )
    for check, (is_so, stored, derived) in zip(CALL_CHECKS, holds, strict=True):
        if not is_so:
            findings.add(check, call, stored, derived)


def derived_cost(call: Any, rates: Rates) -> int:
    """The cost by the buckets; -1 where a piece was charged that has no price."""
    try:
        return rates.cost_of(TokenUsage(*call[:7]))
    except PricingError:
        return -1


def image_cost(call: Any, fixed: int) -> int:
    """Delivered images at their fixed price; where there are none, what the vendor's tokens cost us."""
    return call.images * fixed if call.images else call.provider_nanos or 0


@dataclass(slots=True)
class Cluster:
    """Events of an account that stand within seconds of each other, and the balances before and after them.

    `short` is the first call whose cost was absorbed though its ceiling allowed more. Where a ledger entry is among
    the events nothing is known of the balances between them, so that nothing is judged.
    """

    account_id: int
    oldest: datetime
    newest: datetime
    after: tuple[int, int]
    before: tuple[int, int]
    call: Any = None
    short: Any = None
    has_entry: bool = False

    @classmethod
    def of(cls, event: Any, after: tuple[int, int]) -> "Cluster":
        cluster = cls(event.account_id, event.moment, event.moment, after, after)
        cluster.add(event)
        return cluster

    def add(self, event: Any) -> None:
        """Take in the next older event."""
        self.oldest = event.moment
        self.before = self.before[0] + event.allowance_out, self.before[1] + event.credits_out
        if event.price_id is None:
            self.has_entry = True
            return
        self.call = event
        if event.absorbed_nanos > max(0, event.cost_nanos - event.reserved_nanos):
            self.short = event

    def takes(self, event: Any) -> bool:
        return event.account_id == self.account_id and self.oldest - event.moment <= AT_ONE_MOMENT


def clusters(since: datetime | None) -> Iterator[Cluster]:
    """Each account's events backwards in time, from the balances that stand now.

    They are read in one statement, so as they stood at one moment.
    """
    cluster: Cluster | None = None
    for event in db.session.execute(events_since(since), execution_options={"yield_per": SLICE}):
        if cluster and cluster.takes(event):
            cluster.add(event)
            continue
        is_same = cluster is not None and cluster.account_id == event.account_id
        after = cluster.before if cluster and is_same else (event.allowance, event.credits)
        if cluster:
            yield cluster
        cluster = Cluster.of(event, after)
    if cluster:
        yield cluster


def check_payers(cluster: Cluster, overdrafts: set[int], findings: CallFindings) -> None:
    """What paid in which order, and how far into debt: allowance first, and never below the overdraft."""
    if cluster.has_entry or cluster.call is None:
        return
    (_, credits_before), (allowance, credits) = cluster.before, cluster.after
    floor = min(credits_before, -max(overdrafts))
    if credits < floor:
        findings.add("a debt below the overdraft", cluster.call, credits, floor)
    if credits < min(0, credits_before) and allowance > 0:
        findings.add("a debt beside an allowance", cluster.call, credits, min(0, credits_before))
    if cluster.short is not None and (allowance > 0 or credits > 0):
        findings.add("a cost absorbed that could be paid", cluster.short, cluster.short.absorbed_nanos, 0)


def overdrafts_ever() -> set[int]:
    """The overdraft as it is, and as it was by the record of changes."""
    edits = select(AdminChange.changes).filter_by(subject="settings", subject_id="overdraft")
    former = {int(value) for changes in db.session.scalars(edits) for value in changes.get("value", []) if value}
    return former | {int(Setting.get("overdraft"))}


def events_since(since: datetime | None) -> Select[Any]:
    """Calls and ledger entries of the accounts, with what each took from the two balances."""
    paid = USAGES.c.allowance_paid_nanos, USAGES.c.credits_paid_nanos
    calls = select(
        USAGES.c.account_id, USAGES.c.settled_at.label("moment"), USAGES.c.id, USAGES.c.price_id,
        paid[0].label("allowance_out"), paid[1].label("credits_out"),
        USAGES.c.cost_nanos, USAGES.c.reserved_nanos, USAGES.c.absorbed_nanos,
    ).where(USAGES.c.state == "settled")  # fmt: skip
    nothing = [literal(0)] * 3
    entries = select(
        LedgerEntry.account_id, LedgerEntry.created_at, LedgerEntry.id, null(),
        -LedgerEntry.allowance_nanos, -LedgerEntry.credits_nanos, *nothing,
    )  # fmt: skip
    if since:
        calls = calls.where(USAGES.c.settled_at >= since)
        entries = entries.where(LedgerEntry.created_at >= since)
    events = union_all(calls, entries).subquery("events")
    now = Account.allowance_nanos.label("allowance"), Account.credits_nanos.label("credits")
    rows = select(*events.c, *now).join(Account, Account.id == events.c.account_id)
    return rows.order_by(events.c.account_id, events.c.moment.desc(), events.c.id.desc())


CALLS = (
    select(*(USAGES.c[bucket] for bucket in BUCKETS),
           *(USAGES.c[name] for name in ("id", "price_id", "image_price_id", "provider_nanos", "state", "cost_nanos",
                                         "allowance_paid_nanos", "credits_paid_nanos", "absorbed_nanos",
                                         "reserved_nanos")))
    .order_by(USAGES.c.id)
    .limit(SLICE)
)  # fmt: skip
