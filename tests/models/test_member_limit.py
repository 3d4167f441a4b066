"""A member's own limit of the month in a team. billing-rules.md 6."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session, scoped_session

from app.extensions import db
from app.models.catalog.price import AIModel
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.member_limit import check_member, next_month, used_in
from app.models.metering.usage import Usage
from tests.models.conftest import NOON, refusal
from tests.support.people import model, person


def test_a_member_is_refused_at_their_own_limit_until_the_month_ends(
    session: "scoped_session[Session]",
) -> None:
    ada = person("ada").owner
    team = Account.open(ada, kind="team", name="Ada & Co")
    membership = team.memberships[0]
    membership.monthly_limit_nanos, membership.used_month, membership.used_nanos = 10, date(2026, 3, 1), 9
    db.session.flush()
    shared = AccountState.load(team.id)
    check_member(shared, ada.id, NOON)
    membership.used_nanos = 10
    db.session.flush()
    refused = refusal(lambda: check_member(shared, ada.id, NOON))
    assert (refused.code, refused.details["resets_at"]) == (
        "member_limit_reached",
        datetime(2026, 4, 1, tzinfo=UTC),
    )
    membership.monthly_limit_nanos = 1
    db.session.flush()
    check_member(shared, ada.id, NOON + timedelta(days=1))
    check_member(replace(shared, kind="personal"), ada.id, NOON)
    membership.monthly_limit_nanos = None
    db.session.flush()
    check_member(shared, ada.id, NOON)


def test_a_year_ends_with_december() -> None:
    assert next_month(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert next_month(NOON) == datetime(2026, 4, 1, tzinfo=UTC)


def test_who_comes_into_a_team_brings_their_calls_of_the_month(account_state: AccountState) -> None:
    account = db.session.get_one(Account, account_state.account_id)
    person_id, first = account.owner.id, date(2026, 3, 1)
    assert used_in(first, account.id, person_id) == 0
    model("m", kind="demo")
    price = AIModel.to_sell("m", NOON)[1]
    for day in (date(2026, 2, 28), first):
        call = Usage(account_id=account.id, user_id=person_id, model="m", price_id=price.id, day=day)
        call.state, call.reserved_nanos, call.max_output_tokens = "running", 7, 1
        db.session.add(call)
    db.session.flush()
    assert used_in(first, account.id, person_id) == 7
