"""A day and a window of hours count the calls that began in them. billing-rules.md 4."""

from datetime import UTC, datetime

import pytest
import time_machine

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.metering.account_state import AccountState
from app.models.metering.reservation import settle
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database
from tests.support.calls import reserve
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
    session: Database, began: str, ended: str, in_window: int, in_day: int
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


@pytest.mark.databases("sqlite", "postgresql")
def test_beyond_the_window_credits_pay_and_the_next_one_begins_anew(session: Database) -> None:
    """20 of 100 in five hours: a call of 30 takes 10 of bought credits."""
    with time_machine.travel(datetime(2026, 9, 1, 9, tzinfo=UTC), tick=False) as clock:
        model("m", kind="demo", dollars_out="100")
        account = person("ada", allowance=100 * CREDIT, credits=50 * CREDIT)
        account.window_hours, account.window_limit_nanos = 5, 20 * CREDIT
        db.session.commit()
        reservation = reserve(actor(account), PROMPT, AIModel.to_sell("m", utcnow())[1])
        settle(reservation, TokenUsage(output=300, source="reported"), "done")
        balances = []
        for _ in range(2):
            balance = AccountState.load(account.id).balance(utcnow())
            balances.append((balance.allowance, balance.credits, balance.available))
            clock.move_to(datetime(2026, 9, 1, 10, tzinfo=UTC))
    credits = [tuple(nanos // CREDIT for nanos in row) for row in balances]
    assert credits == [(80, 40, 40), (80, 40, 60)]
