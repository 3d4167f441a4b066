"""A lab run as a job: as far as it gets in one turn, then again; it can be cancelled between accounts."""

import logging
import time
from collections.abc import Iterator

from sqlalchemy import Connection, update

from app.extensions import db
from app.jobs import JobName, enqueue
from app.lab.history import count_accounts
from app.lab.report import Report
from app.lab.run import Run, reading
from app.lab.scenario import Scenario, terms_of
from app.lab.simulation import kinds, simulated
from app.models.base import utcnow
from app.models.operations.lab_run import LabRun

log = logging.getLogger(__name__)
AT_A_TIME = 5.0
"""Seconds that a job replays for before it makes room for others, which share its worker."""


def run(run_id: int) -> None:
    """Go on with a run; what is left comes after the jobs that wait. What goes wrong ends it, with the reason."""
    kept = db.session.get(LabRun, run_id, populate_existing=True)
    if kept is None or kept.is_over:
        return
    try:
        is_done = work(kept, time.monotonic() + AT_A_TIME)
    except Exception as fault:
        db.session.rollback()
        log.exception("lab run failed", extra={"run": run_id})
        fail(run_id, type(fault).__name__)
        return
    if not is_done:
        enqueue(JobName.RUN_LAB, run_id)


def run_all() -> None:
    """For the clock: runs whose job was lost."""
    for run_id in LabRun.unfinished():
        run(run_id)


def work(kept: LabRun, until: float) -> bool:
    """Replay accounts, or simulate users, until that moment; whether the run is over."""
    scenario, report = Scenario.of(kept.scenario), Report.of(kept.result)
    if scenario.is_simulated:
        habits = kinds()
        begin(kept, sum(habit.people for habit in habits))
        numbers = simulated(scenario, report, habits, after=kept.last_account_id)
        return go_through(kept, report, ((number, number) for number in numbers), until)
    with reading() as connection:
        begin(kept, count_accounts(connection, scenario))
        return go_through(kept, report, replayed(kept, scenario, report, connection), until)


def replayed(kept: LabRun, scenario: Scenario, report: Report, connection: Connection) -> Iterator[tuple[int, int]]:
    """The last account of each few, and how many were replayed by then."""
    run, last, done = Run(scenario, terms_of(scenario), report), kept.last_account_id, kept.accounts_done
    while ids := run.slice(connection, last):
        last, done = ids[-1], done + len(ids)
        connection.rollback()
        yield last, done


def go_through(kept: LabRun, report: Report, steps: Iterator[tuple[int, int]], until: float) -> bool:
    """As many steps as there is time for; whether the run is over."""
    for last, done in steps:
        running = update(LabRun).where(LabRun.id == kept.id, LabRun.state == "running")
        went = db.session.execute(running.values(accounts_done=done)).rowcount  # type: ignore[attr-defined]
        db.session.commit()
        if not went:  # it was cancelled meanwhile
            return True
        if time.monotonic() > until:
            kept.last_account_id, kept.result = last, report.stored
            db.session.commit()
            return False
    return finish(kept, report)


def begin(kept: LabRun, accounts: int) -> None:
    """One that waits is under way from now on; one that was cancelled stays so."""
    waiting = update(LabRun).where(LabRun.id == kept.id, LabRun.state == "waiting")
    db.session.execute(waiting.values(state="running", accounts=accounts))
    db.session.commit()


def finish(kept: LabRun, report: Report) -> bool:
    report.close()
    report.answers = list(report.answers_of(terms_of(Scenario.of(kept.scenario))))
    report.scenario = kept.scenario
    db.session.refresh(kept)
    if kept.state != "cancelled":
        kept.result, kept.state, kept.finished_at = report.stored, "done", utcnow()
    db.session.commit()
    return True


def fail(run_id: int, reason: str) -> None:
    kept = db.session.get_one(LabRun, run_id)
    kept.state, kept.error, kept.finished_at = "failed", reason, utcnow()
    db.session.commit()
