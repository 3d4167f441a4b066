"""A member's own limit of the month in a team. billing-rules.md 6."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.key_limit import spendable
from app.models.metering.member_limit import member_limit, spent_by
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import settle
from app.models.metering.spending_limit import check_limits
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.models.conftest import NOON, refusal
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, give, model, person, used


def check(account_state: AccountState, user_id: int, at: datetime = NOON) -> None:
    if limit := member_limit(account_state, user_id, at):
        check_limits([limit], NOON)


def test_a_member_is_refused_at_their_own_limit_until_the_month_ends(session: Database) -> None:
    ada = person("ada").owner
    team = Account.open(ada, kind="team", name="Ada & Co")
    membership = team.memberships[0]
    membership.monthly_limit_nanos = 10
    day = used(membership, 9, date(2026, 3, 1))
    db.session.add(day)
    db.session.flush()
    shared = AccountState.load(team.id)
    check(shared, ada.id)
    day.paid_nanos = 10
    db.session.flush()
    refused = refusal(lambda: check(shared, ada.id))
    assert (refused.code, refused.details["resets_at"]) == (
        "member_limit_reached",
        datetime(2026, 4, 1, tzinfo=UTC),
    )
    membership.monthly_limit_nanos = 1
    db.session.flush()
    check(shared, ada.id, NOON + timedelta(days=1))
    check(replace(shared, kind="personal"), ada.id)
    membership.monthly_limit_nanos = None
    db.session.flush()
    check(shared, ada.id)


def test_who_comes_into_a_team_brings_their_calls_of_the_month(account_state: AccountState) -> None:
    account = db.session.get_one(Account, account_state.account_id)
    person_id, first = account.owner.id, date(2026, 3, 1)
    assert spent_by(account.id, person_id, first) == 0
    model("m", kind="demo")
    price = AIModel.to_sell("m", NOON)[1]
    for day in (date(2026, 2, 28), first):
        call = Usage(account_id=account.id, user_id=person_id, model="m", price_id=price.id, day=day)
        call.state, call.reserved_nanos, call.max_output_tokens = "running", 7, 1
        db.session.add(call)
    db.session.flush()
    assert spent_by(account.id, person_id, first) == 7


def team_of(limit: int) -> tuple[Account, Actor]:
    """ada's team with 5,000 credits, and her own limit in it."""
    team = Account.open(person("ada").owner, kind="team", name="Ada & Co")
    team.period_end = datetime(2100, 1, 1, tzinfo=UTC)
    team.memberships[0].monthly_limit_nanos = limit
    give(team, credits=5_000 * CREDIT)
    db.session.flush()
    return team, actor(team)


def test_the_refusal_names_limit_use_need_and_a_model_that_passes(session: Database) -> None:
    _team, ada = team_of(limit=CREDIT)
    model("dear", kind="demo", dollars_in="0", dollars_out="40")
    model("fits", kind="demo", dollars_in="0", dollars_out="3")
    prompt = Prompt("dear", (PromptMessage("user", "hi"),), 4096)
    refused = refusal(lambda: reserve(ada, prompt, AIModel.to_sell("dear", utcnow())[1]))
    assert refused.code == "member_limit_reached"
    named = {name: refused.details[name] for name in ("limit", "used", "left", "needed", "model", "way_out")}
    assert named == {
        "limit": CREDIT, "used": 0, "left": CREDIT, "needed": 10_240_000, "model": "fits", "way_out": "members",
    }  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(0, 20 * CREDIT),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 6000)), min_size=1, max_size=12),
)
def test_whatever_begins_and_ends_the_limit_holds(session: Database, limit: int, steps: list[tuple[bool, int]]) -> None:
    session.rollback()
    team, ada = team_of(limit)
    price = AIModel.to_sell(model("m", kind="demo", dollars_in="1", dollars_out="4").name, utcnow())[1]
    prompt, running = Prompt("m", (PromptMessage("user", "hi"),), 4096), []
    for is_new, tokens in steps:
        if is_new:
            with suppress(Refusal):
                running.append(reserve(ada, prompt, price))
        elif running:
            settle(running.pop(), TokenUsage(uncached_input=9, output=tokens, source="reported"), "done")
        use = member_limit(AccountState.load(team.id), ada.user_id, utcnow())
        assert use.used <= limit
        assert spendable(AccountState.load(team.id), actor(team), utcnow()) == use.left
