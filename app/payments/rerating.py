"""Re-rating as a job: the preview, then account by account, each a transaction. billing-rules.md 3.

Killed anywhere it goes on where it was: an account is corrected whole, or not at all.
"""

import heapq
import logging
import time
from itertools import groupby

from app.extensions import db
from app.jobs import JobName, commit, enqueue
from app.models.base import utcnow
from app.models.billing.rerating import Rerating, correct_account, corrected, totals
from app.models.identity.account import Account
from app.notifications import price_mails

log = logging.getLogger(__name__)
LARGEST = 10
AT_A_TIME = 45.0
"""Seconds that a job corrects accounts for before it makes room for others."""


def look(rerating: Rerating) -> None:
    """Find what it would do, and keep that as its preview. The caller commits."""
    figures = {"calls": 0, "accounts": 0, "over_nanos": 0, "under_nanos": 0}
    largest: list[tuple[int, int, int, int]] = []  # over, account, under, calls
    for account_id, calls in groupby(corrected(rerating), key=lambda correction: correction.account_id):
        over = under = count = 0
        for correction in calls:
            over += correction.returned_nanos
            under += correction.absorbed_nanos
            count += 1
        effect = {"calls": count, "accounts": 1, "over_nanos": over, "under_nanos": under}
        figures = {name: figures[name] + more for name, more in effect.items()}
        heapq.heappush(largest, (over, account_id, under, count))
        if len(largest) > LARGEST:
            heapq.heappop(largest)
    running, closed = rerating.accounts_running(), rerating.closed_accounts()
    rerating.preview = figures | {
        "largest": sorted(largest, reverse=True), "running": running, "closed": closed
    }  # fmt: skip
    if rerating.state == "new":
        rerating.state = "previewed"


def apply(rerating: Rerating) -> None:
    """Have it applied; by whom is in the record of changes. The caller commits."""
    if rerating.state == "previewed":
        rerating.state = "applying"


def go_on(rerating_id: int, seconds: float = AT_A_TIME) -> bool:
    """Preview it, or correct accounts for so long; whether it is done, or waits for a person. Commits."""
    rerating = db.session.get(Rerating, rerating_id)
    if rerating is None or rerating.state in ("previewed", "done"):
        return True
    if rerating.state == "new":
        look(rerating)
        db.session.commit()
        return True
    return correct(rerating, time.monotonic() + seconds)


def correct(rerating: Rerating, until: float) -> bool:
    """Correct the accounts that are left, none of which a call still runs at that price; whether all are."""
    running, waiting = set(rerating.accounts_running()), False
    for account_id in rerating.accounts_left():
        if account_id in running:
            continue
        if time.monotonic() > until:
            return False
        waiting = not correct_one(rerating, account_id) or waiting
    if waiting or rerating.accounts_running() or rerating.accounts_left():
        return False
    rerating.preview = rerating.preview | {"closed": rerating.closed_accounts()}
    rerating.state, rerating.finished_at = "done", utcnow()
    db.session.commit()
    log.info("price corrected", extra={"rerating": rerating.id, **totals(rerating)})
    return True


def correct_one(rerating: Rerating, account_id: int) -> bool:
    """Correct an account in a transaction of its own; not one that was closed meanwhile, or of which a call runs."""
    account = Account.locked(account_id)
    if account.closed_at is not None or rerating.accounts_running(account_id):
        db.session.rollback()
        return False
    returned = correct_account(rerating, account)
    if returned:
        price_mails.of_correction(rerating, account, returned)
    commit()
    return True


def job(rerating_id: int) -> None:
    """Go on with it; what is left comes after the jobs that wait."""
    if not go_on(rerating_id):
        rerating = db.session.get_one(Rerating, rerating_id)
        if set(rerating.accounts_left()) - set(rerating.accounts_running()):
            enqueue(JobName.RERATE, rerating_id)


def go_on_with_all() -> None:
    """For the clock: what a lost job or a running call left undone."""
    for rerating_id in Rerating.unfinished():
        job(rerating_id)
