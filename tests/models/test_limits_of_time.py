"""A day and a window of hours count the calls that began in them. billing-rules.md 4."""

from datetime import UTC, datetime

import pytest
import time_machine
from sqlalchemy.orm import Session, scoped_session

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.price import AIModel
from app.models.metering.account_state import AccountState
from app.models.metering.reservation import reserve, settle
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support.people import CREDIT, actor, model, person

PROMPT = Prompt("m", (PromptMessage("user", "hi"),), 600)


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("began", "ended", "in_window", "in_day"),
    [
        ("09:59", "09:59:30", 20, 20),
        ("09:59", "10:01", 0, 20),
        ("10:00", "14:59", 20, 20),
        ("20:00", "23:59", 20, 20),
    ],
)
def test_a_call_counts_in_the_window_and_the_day_that_it_began_in(
    session: "scoped_session[Session]", began: str, ended: str, in_window: int, in_day: int
) -> None:
    """Windows of five hours begin at 0:00, 5:00, 10:00, 15:00 and 20:00, and with the next day."""
    today = f"{utcnow():%Y-%m-%d}"
    first, last = (datetime.fromisoformat(f"{today}T{at}").replace(tzinfo=UTC) for at in (began, ended))
    with time_machine.travel(first, tick=False) as clock:
        model("m", kind="demo", dollars_out="100")
        account = person("ada", allowance=100 * CREDIT)
        account.window_hours, account.window_limit_nanos = 5, 50 * CREDIT
        db.session.commit()
        reservation = reserve(actor(account), PROMPT, AIModel.to_sell("m", utcnow())[1])
        clock.move_to(last)
        settle(reservation, TokenUsage(output=200, source="reported"), "done")
        state = AccountState.load(account.id)
        assert (state.used_in_window(last), state.balance(last).daily_used) == (
            in_window * CREDIT,
            in_day * CREDIT,
        )
