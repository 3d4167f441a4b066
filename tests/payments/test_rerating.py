"""A price that was wrong: what was too much comes back, once, whatever kills the work; what was too little is ours."""

import os
import random
import signal
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.billing.ledger import LedgerEntry
from app.models.billing.rerating import CallCorrection, Rerating, totals
from app.models.catalog.ai_model import AIModel
from app.models.catalog.rates import INPUT_BUCKETS
from app.models.identity.account import Account
from app.models.metering.refusal import PricingError
from app.models.metering.reservation import Reservation, settle
from app.models.metering.usage import Usage
from app.models.operations.outbox import OutgoingMail
from app.payments import rerating as work
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database, crash
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, give, model, person

PROMPT = Prompt("m", (PromptMessage("user", "x" * 3000),), 4000)
HALF = {f"{bucket}_nanos": 1_250_000_000 for bucket in INPUT_BUCKETS}
HALF |= {"output_nanos": 5_000_000_000}
pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture
def people(app: Flask, session: Database) -> list[Account]:
    """Five who pay by credits, at twice the right price."""
    model("m", kind="demo", dollars_in="2.5", dollars_out="10")
    accounts = [person(f"p{number}", allowance=20 * CREDIT, credits=900 * CREDIT) for number in range(5)]
    for account in accounts:
        account.breaker = "off"
    session.commit()
    return accounts


def begin(account: Account) -> Reservation:
    return reserve(actor(account), PROMPT, AIModel.to_sell("m", utcnow())[1])


def call(account: Account, *, uncached: int = 800, output: int = 700) -> int:
    reservation = begin(account)
    settle(reservation, TokenUsage(uncached_input=uncached, output=output, source="reported"), "done")
    return reservation.usage_id


def wrong(figures: dict[str, int | None], since: datetime | None = None) -> Rerating:
    price = AIModel.to_sell("m", utcnow())[1]
    rerating = Rerating.begin(price, figures, since or utcnow() - timedelta(days=1), utcnow(), reason="A slip.")
    work.look(rerating)
    work.apply(rerating)
    db.session.commit()
    return rerating


def balance(account: Account) -> int:
    db.session.expire_all()
    return account.allowance_nanos + account.credits_nanos


def assert_books_are_clean() -> None:
    assert list(audit()) == []
    assert audit_calls().all() == []


def test_calls_sold_at_twice_the_price_end_like_a_twin_that_was_always_right(
    people: list[Account], session: Database
) -> None:
    seeded, spent = random.Random(1), dict.fromkeys((account.id for account in people), 0)  # noqa: S311
    calls = int(os.environ.get("CALLS", "120"))
    for account in people:
        give(account, credits=calls * 15 * CREDIT)
    session.commit()
    before = {account.id: balance(account) for account in people}
    for _ in range(calls):
        account, tokens = seeded.choice(people), (seeded.randrange(1, 2500), seeded.randrange(1, 900))
        call(account, uncached=tokens[0], output=tokens[1])
        spent[account.id] += (tokens[0] * 1_250_000_000 + tokens[1] * 5_000_000_000 + 500_000) // 1_000_000
    session.commit()
    rerating = wrong(HALF)
    assert work.go_on(rerating.id)
    assert {account.id: balance(account) for account in people} == {
        account_id: before[account_id] - spent[account_id] for account_id in spent
    }
    over = sum(before.values()) - sum(spent.values())
    assert rerating.preview["over_nanos"] == totals(rerating)["over_nanos"] == sum(spent.values())
    assert over == sum(balance(account) for account in people)
    assert_books_are_clean()


def test_too_little_is_ours_and_a_later_correction_counts_the_earlier(people: list[Account], session: Database) -> None:
    """At $10 sold, $5 said to be right, then $7.50, then $2.50: what came back before does not come back again."""
    call_id = call(people[0])
    session.commit()
    start, sold = balance(people[0]), session.get_one(Usage, call_id).cost_nanos
    returned = []
    for factor in (0.5, 0.75, 0.25, 2):
        figures = {name: int(nanos * 2 * factor) for name, nanos in HALF.items()}
        rerating = wrong(figures)
        assert work.go_on(rerating.id)
        [correction] = session.scalars(select(CallCorrection).filter_by(rerating_id=rerating.id))
        returned.append((correction.returned_nanos * 4 // sold, correction.absorbed_nanos * 4 // sold))
    assert returned == [(2, 0), (0, 1), (1, 0), (0, 7)]
    assert balance(people[0]) == start + sold * 3 // 4
    assert_books_are_clean()


def test_only_what_began_in_that_time_is_corrected_and_failures_are_not(
    people: list[Account], session: Database
) -> None:
    call(people[0])
    boundary = utcnow()
    call(people[1])
    failed = begin(people[2])
    settle(failed, TokenUsage(uncached_input=5, output=5, source="reported"), "failed")
    session.commit()
    rerating = wrong(HALF, since=boundary)
    assert work.go_on(rerating.id)
    assert session.scalars(select(CallCorrection.account_id)).all() == [people[1].id]


def test_running_calls_wait_and_closed_accounts_are_listed(people: list[Account], session: Database) -> None:
    for account in people[:3]:
        call(account)
    running = begin(people[1])
    people[2].closed_at = utcnow()
    session.commit()
    rerating = wrong(HALF)
    assert (rerating.preview["running"], rerating.preview["closed"]) == ([people[1].id], [people[2].id])
    assert not work.go_on(rerating.id)
    corrected = select(CallCorrection.account_id).distinct()
    assert session.scalars(corrected).all() == [people[0].id]
    settle(running, TokenUsage(uncached_input=800, output=10, source="reported"), "done")
    session.commit()
    assert work.go_on(rerating.id)
    assert set(session.scalars(corrected)) == {people[0].id, people[1].id}
    assert (rerating.state, rerating.preview["closed"]) == ("done", [people[2].id])
    assert totals(rerating)["calls"] == 3
    assert_books_are_clean()


def dies_at(step: str, rerating_id: int) -> None:
    """Go on in a process of its own, which is killed at that step."""
    db.session.rollback()
    process = os.fork()
    if process == 0:
        os.setsid()
        db.engine.dispose(close=False)
        db.session.registry.clear()
        os.environ["TOLLGATE_CRASH"] = step
        crash.arm()
        work.go_on(rerating_id)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


STEPS = (
    "before app.jobs:commit #2",
    "after app.payments.rerating:correct_one #1",
    "after app.models.billing.rerating:correct_account #2",
    "after app.jobs:commit #1",
)


def test_killed_between_any_two_accounts_and_begun_again_it_is_complete_and_nothing_came_twice(
    people: list[Account], session: Database
) -> None:
    costs = {session.get_one(Usage, call(account)).cost_nanos for account in people}
    session.commit()
    before = {account.id: balance(account) for account in people}
    identifier = wrong(HALF).id
    for step in STEPS[: 4 if session.connection().dialect.name == "sqlite" else 2]:
        done = session.query(CallCorrection).count()
        dies_at(step, identifier)
        assert session.query(CallCorrection).count() == done + 1
    assert [work.go_on(identifier) for _ in range(2)] == [True, True]
    after = {account_id: nanos + max(costs) // 2 for account_id, nanos in before.items()}
    assert {account.id: balance(account) for account in people} == after
    entries = sorted(session.scalars(select(LedgerEntry.key).filter_by(kind="correction")))
    assert entries == sorted(f"rerating:{identifier}:{account_id}" for account_id in before)
    assert session.query(OutgoingMail).count() == 5
    assert_books_are_clean()


def test_an_entry_that_the_calls_do_not_explain_is_named(people: list[Account], session: Database) -> None:
    call(people[0])
    session.commit()
    rerating = wrong(HALF)
    assert work.go_on(rerating.id)
    session.query(CallCorrection).update({"returned_nanos": CallCorrection.returned_nanos - 1})
    session.commit()
    assert [difference.figure for difference in audit()] == [f"re-rating {rerating.id}"]


REFUSED = (
    (HALF, 1, 2, "must be after the start"),
    (HALF, 2, -1, "in the future"),
    ({"output_nanos": -1}, 2, 1, "can't be negative"),
    ({"output_nanos": None}, 2, 1, "price for input, cache and output"),
    ({"output_nanos": 10_000_000_000}, 2, 1, "nothing would change"),
)


def test_the_command_says_what_would_come_back_gives_it_back_and_refuses_what_cannot_be(
    app: Flask, people: list[Account], session: Database
) -> None:
    call(people[0])
    session.commit()
    when = ["--from", f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%d %H:%M:%S}", "--until",
            f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"]  # fmt: skip
    session.query(Usage).update({"created_at": utcnow() - timedelta(minutes=1)})
    session.commit()
    command = ["prices", "rerate", "m", *when, "--output", "5"]
    looked = app.test_cli_runner().invoke(args=command)
    assert "1 calls of 1 accounts" in looked.output, looked.output
    assert "Overcharged: 3.5 credits" in looked.output
    assert session.query(Rerating).count() == 0
    applied = app.test_cli_runner().invoke(args=[*command, "--apply"])
    assert "3.5 credits given back to 1 accounts" in applied.output, applied.output
    model("painter", makes_images=True)
    session.commit()
    for name, why in (("nobody", "There is no model"), ("painter", "Images have a fixed price")):
        refused = app.test_cli_runner().invoke(args=["prices", "rerate", name, *when, "--output", "5"])
        assert (refused.exit_code, why in refused.output) == (2, True)
    price, now = AIModel.to_sell("m", utcnow())[1], utcnow()
    for figures, begins, ends, message in REFUSED:
        with pytest.raises(PricingError, match=message):
            Rerating.begin(price, dict(figures), now - timedelta(hours=begins), now - timedelta(hours=ends))
