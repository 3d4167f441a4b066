"""Replays many accounts into one report: read-only, a few at a time, in constant memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from app.extensions import db
from app.lab.history import Habitual, Past, accounts_after, call_of, calls_of, habitual, pasts
from app.lab.record import Call, Ended, Entry
from app.lab.replay import Replay, scaled
from app.lab.report import Report, Tally
from app.lab.scenario import Pair, Scenario, Terms
from app.models.catalog.worth import payment_fee
from app.models.metering.gate_decision import funds_code
from app.models.operations.replica_reads import replica
from app.providers.base import TokenUsage

AT_A_TIME = 25
JUDGED = {
    "plan_inactive", "api_not_in_plan", "model_not_allowed", "too_many_calls", "credits_reserved",
    "daily_limit_reached", "window_limit_reached", "out_of_credits", "request_too_large", "recharge_in_progress",
    "subscription_unpaid", "spending_paused",
}  # fmt: skip
"""The refusals that other terms decide anew; all others stay as they were."""

LIKE_FUNDS = {"recharge_in_progress", "subscription_unpaid"}
"""Said in truth in the place of a plainer code of funds."""

AFTER_BREAKER = LIKE_FUNDS | {
    "credits_reserved", "daily_limit_reached", "window_limit_reached", "out_of_credits", "request_too_large",
}  # fmt: skip
"""The codes of calls that the breaker had let in."""


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection that can't write: the database refuses it. The replica's, where there is one."""
    standby = replica()
    engine = standby[0] if standby else db.engine
    is_postgres = engine.dialect.name == "postgresql"
    options: Any = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if is_postgres else {}
    with engine.connect().execution_options(**options) as connection:
        if not is_postgres:
            connection.execute(text("PRAGMA query_only = ON"))
        try:
            yield connection
        finally:
            connection.rollback()
            if not is_postgres:
                connection.execute(text("PRAGMA query_only = OFF"))


class Run:
    """A scenario over the record."""

    def __init__(self, scenario: Scenario, terms: Terms, report: Report) -> None:
        self.scenario, self.terms, self.report = scenario, terms, report
        self.ordinary: dict[str, Habitual] | None = None

    def slice(self, connection: Connection, last: int) -> list[int]:
        """Replay the next accounts; which they were."""
        if self.ordinary is None:
            self.ordinary = habitual(connection, self.scenario)
        ids = accounts_after(connection, self.scenario, last, AT_A_TIME)
        if ids:
            self.replay(connection, ids)
        return ids

    def replay(self, connection: Connection, ids: Sequence[int]) -> None:
        known = pasts(connection, self.scenario, self.terms, ids)
        for account_id, rows in calls_of(connection, self.scenario, ids):
            self.account(known.pop(account_id), rows)
        for past in known.values():
            self.account(past, ())

    def account(self, past: Past, rows: Iterable[Any]) -> None:
        """One account from beginning to end."""
        one = AccountRun(self, past)
        for row in rows:
            one.call(row)
        one.finish()


class AccountRun:
    """One account as it was, beside it as it would be."""

    def __init__(self, run: Run, past: Past) -> None:
        self.run, self.past, self.report, self.terms = run, past, run.report, run.terms
        self.replay = Replay(past.state, run.terms, past.state.allowance, past.guards)
        self.was, self.then = Tally(), Tally()
        self.entries, self.refused = iter(past.entries), iter(past.refused)
        self.entry, self.attempt = next(self.entries, None), next(self.refused, None)
        self.begins = run.scenario.begins
        for money in past.money:
            self.money(*money)

    def money(self, at: datetime, cents: int, payments: int, payment: Any) -> None:
        """A payment or what came off it, as it was and in proportion to its price as it would be."""
        plan_id = payment.plan_id or self.past.state.plan_id
        pair = self.terms.packs[payment.pack_id] if payment.pack_id else self.terms.plans[plan_id]
        prices, charged = (pair.was.price_cents, pair.then.price_cents), payment.price_cents * payments
        earned, paid = (scaled(amount, prices) if amount else 0 for amount in (cents, charged))
        for side, amount, whole, tally in (("was", cents, charged, self.was), ("then", earned, paid, self.then)):
            self.report.add(side, at, plan_id, revenue_cents=amount, fee_cents=fee_of(whole, payments, self.terms))
            tally.cents += amount

    def until(self, at: datetime) -> None:
        """Everything before that moment: entries, ends of calls, attempts; at one moment entries come first."""
        while True:
            entry, attempt = self.entry, self.attempt
            is_entry_first = attempt is None or (entry is not None and entry.at <= attempt.created_at)
            if entry is not None and is_entry_first and entry.at <= at:
                self.end_until(entry.at - INSTANT)
                self.enter(entry)
            elif attempt is not None and not is_entry_first and attempt.created_at <= at:
                self.end_until(attempt.created_at)
                self.try_again(attempt)
            else:
                self.end_until(at)
                return

    def enter(self, entry: Entry) -> list[tuple[str, str, int, int]]:
        """Apply the next entry; what would stand in the ledger: see `Replay.enter`."""
        made = self.replay.enter(entry)
        if self.past.guards:
            self.past.guards.enter(entry.kind, (entry.allowance, entry.credits), made)
        self.entry = next(self.entries, None)
        return made

    def end_until(self, at: datetime) -> None:
        for ended in self.replay.end_until(at):
            self.ended(ended)

    def call(self, row: Any) -> None:
        """A call of the record: what it was, and whether it would be."""
        call = call_of(row, self.past.state.plan_id)
        if call.ends is not None and row.allowance_paid_nanos:
            self.replay.spend(call.ends, row.allowance_paid_nanos)
        if call.began < self.begins:
            self.replay.admit_as_it_was(call)
            self.record(row, call)
            return
        self.until(call.began)
        code = self.replay.begin(call)
        self.record(row, call)
        if code is not None:
            self.refuse(call.began, call.plan_id, code)
            self.report.keep("newly_refused", call.began, self.past.state.account_id, call.model, code)

    def record(self, row: Any, call: Call) -> None:
        """The side of the record, in the day that the call began in: of calls that began and ended in this period."""
        paid = row.allowance_paid_nanos + row.credits_paid_nanos
        if self.past.guards:
            ended = (call.ends, paid, call.is_paid) if call.ends else None
            self.past.guards.record(call.id, call.key_id, call.ceiling, ended)
        if call.ends is None or call.began < self.begins or call.ends >= self.run.scenario.ends:
            return
        provider = row.cost_nanos if call.provider is None else call.provider
        figures = {"cost_nanos": provider, "paid_nanos": paid, "absorbed_nanos": row.absorbed_nanos}
        self.report.add("was", call.began, call.plan_id, calls=1, **figures)

    def ended(self, ended: Ended) -> None:
        call, payment = ended.call, ended.payment
        paid = payment.allowance + payment.credits
        if call.began < self.begins:
            return
        figures = {"cost_nanos": ended.provider, "paid_nanos": paid, "absorbed_nanos": payment.absorbed}
        self.report.add("then", call.began, call.plan_id, calls=1, **figures)

    def try_again(self, row: Any) -> None:
        """An attempt that was refused in truth: by the same code, by another, or not at all."""
        self.attempt = next(self.refused, None)
        plan_id = row.plan_id or self.replay.state.plan_id
        self.was.refused += 1
        self.report.add_refusal("was", row.created_at, plan_id, row.code)
        code = self.code_of(row, plan_id)
        if code is not None:
            self.refuse(row.created_at, plan_id, code)
            return
        self.report.keep("newly_admitted", row.created_at, self.past.state.account_id, row.model, row.code)

    def code_of(self, row: Any, plan_id: int) -> str | None:
        """Why it would be refused; None: it would begin, and ends as an ordinary call of its model."""
        if row.code not in JUDGED and not self.has_more_chats(row.code, plan_id):
            return str(row.code)
        if plan_id != self.replay.state.plan_id:
            self.replay.follow_plan(plan_id)
        at, was_paused = row.created_at, was_paused_by(row.code)
        code = self.replay.refusal(at, key_id=row.api_key_id, model=row.model, was_paused=was_paused)
        guess = None if code else self.guess(row, plan_id)
        code = self.replay.begin(guess, was_paused=was_paused) if guess else code
        is_same = row.code in LIKE_FUNDS and funds_code(self.replay.state.balance(at)) is not None
        return str(row.code) if code is not None and is_same else code

    def has_more_chats(self, code: str, plan_id: int) -> bool:
        pair: Pair = self.terms.plans[plan_id]
        was, then = pair.was.chats_per_month, pair.then.chats_per_month
        return code == "chat_limit_reached" and was is not None and (then is None or then > was)

    def guess(self, row: Any, plan_id: int) -> Call | None:
        """The call that it would have been: the prompt as it was asked, an ordinary answer. None: no model is known."""
        ordinary = self.run.ordinary or {}
        model = row.model or next(iter(ordinary), None)
        price = self.terms.price_at(model, row.created_at) if model else None
        if model is None or price is None:
            return None
        usual = ordinary.get(model, NOBODY)
        asked, bound = row.max_output_tokens or ASKED, row.input_bound or usual.input_tokens
        usage = TokenUsage(
            uncached_input=min(bound, usual.input_tokens or bound), output=min(asked, usual.output_tokens)
        )
        image = self.terms.images.get(row.image_price_id) or self.terms.image_price_at(model, row.created_at)
        if image is not None:
            usage = TokenUsage(images=asked)
        ends = row.created_at + timedelta(seconds=usual.seconds)
        call = Call(-row.id, row.created_at, ends, plan_id, model, price.id, 0, asked, True, False, usage,
                    row.api_key_id, image.was.id if image else None, is_guess=True)  # fmt: skip
        return replace(call, ceiling=self.replay.rates_of(call).was.most_for(bound, asked))

    def refuse(self, at: datetime, plan_id: int, code: str) -> None:
        self.then.refused += 1
        self.report.add_refusal("then", at, plan_id, code)

    def finish(self) -> None:
        """To the end of the days; what runs then goes on after them."""
        self.until(self.run.scenario.ends - INSTANT)
        state = self.replay.state
        self.was.ends_with, self.then.ends_with = self.past.ends_with, state.allowance + state.credits
        self.report.add_account(state.account_id, "", self.was, self.then)


def was_paused_by(code: str) -> bool | None:
    """Whether the breaker kept an attempt out in truth, by its code; None: another check came first."""
    return True if code == "spending_paused" else (False if code in AFTER_BREAKER else None)


INSTANT = timedelta(microseconds=1)
NOBODY = Habitual(0, 400, 5.0)
ASKED = 4096
"""What a call asks for that was refused before anybody looked at its prompt."""


def fee_of(cents: int, payments: int, terms: Terms) -> int:
    """What Stripe keeps of a payment, half up; of a refund it gives nothing back."""
    if not payments or cents <= 0:
        return 0
    return payment_fee(cents, 1, terms.settings["payment_fee"], terms.settings["payment_fee_cents"])
