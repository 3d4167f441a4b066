"""A checkout session whose customer came back: what became of it, asked of Stripe and applied."""

from __future__ import annotations

from dataclasses import dataclass

from app.jobs import commit, rollback
from app.models.billing.payment_errors import Mismatch, NotFound, Rejected, UnknownOutcome
from app.models.billing.stripe_objects import SessionState
from app.payments import session_sync
from app.stripe_api import client


@dataclass(frozen=True, slots=True)
class ReturnedSession:
    """`state` is "done", "waiting", "expired" or "parked"; `is_own`: Stripe says that it is the account's."""

    state: str
    is_own: bool = False


def look_up(session_id: str, account_id: int) -> ReturnedSession:
    """Ask Stripe for the session and apply what came of it. NotFound where there is none of that id."""
    try:
        session = client.session(session_id)
        if not is_of(session, account_id):
            return ReturnedSession("parked")
        session_sync.apply_session(session)
        commit()
    except Mismatch:
        rollback()
        return ReturnedSession("parked")
    except NotFound:
        raise
    except (UnknownOutcome, Rejected):
        rollback()
        return ReturnedSession("waiting")
    return ReturnedSession(state_of(session), is_own=True)


def is_of(session: SessionState, account_id: int) -> bool:
    """Whether a session was opened for that account, by both things that we wrote on it."""
    own = str(account_id)
    return session.client_reference_id == own and session.metadata.get("account_id", own) == own


def state_of(session: SessionState) -> str:
    if session.status == "expired":
        return "expired"
    is_done = session.status == "complete" and session.payment_status != "unpaid"
    return "done" if is_done else "waiting"
