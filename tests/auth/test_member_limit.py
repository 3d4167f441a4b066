"""A member's own monthly limit in a team: counted, refused at the gate, explained by the audit."""

from datetime import UTC, datetime

import pytest
import time_machine

from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.invitation import Invitation
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering import reservation as reservations
from app.models.metering.member_limit import month_of, spent_by, spent_by_members
from app.models.metering.refusal import Refusal
from app.models.metering.usage_rollup import add_up
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database, people
from tests.support.calls import reserve
from tests.support.people import CREDIT

COST = 6_250_000
ANSWER = TokenUsage(uncached_input=500, output=500, source="reported")

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}


class Team:
    """ada's team with 10,000 credits, and bob, whose limit is 10 a month; a call costs 6.25."""

    def __init__(self, session: Database) -> None:
        people.model()
        people.person("ada")
        people.person("bob", credits=1000 * CREDIT)
        ada, self.bob = User.with_email("ada@example.com"), User.with_email("bob@example.com")
        self.account = Account.open(ada, kind="team", name="Gate keepers")
        people.give(self.account, credits=10_000 * CREDIT)
        session.add(Membership(account=self.account, user=self.bob, monthly_limit_nanos=10 * CREDIT))
        session.commit()
        self.session = session

    @property
    def membership(self) -> Membership:
        membership = Membership.of(self.bob.id, self.account.id)
        assert membership
        return membership

    @property
    def used(self) -> int:
        return spent_by(self.account.id, self.bob.id, month_of(utcnow().date()))

    def begin(self, user: User | None = None, account_id: int | None = None) -> reservations.Reservation:
        """A call of bob's in the team, or somebody else's, or elsewhere."""
        user = user or self.bob
        details = {"user_id": user.id, "account_id": account_id or self.account.id, "role": "member"}
        prompt = Prompt("gpt-test", (PromptMessage("user", "Why is the sky blue?"),), 2000)
        _model, price = AIModel.to_sell("gpt-test", utcnow())
        actor = Actor(**details, email=user.email, name=user.name, is_verified=True)
        reservation = reserve(actor, prompt, price)
        self.session.commit()
        return reservation

    def end(self, reservation: reservations.Reservation, outcome: str = "done") -> None:
        reservations.settle(reservation, ANSWER, outcome)
        self.session.commit()

    def call(self) -> None:
        self.end(self.begin())

    def limit(self, nanos: int) -> None:
        self.membership.monthly_limit_nanos = nanos
        self.session.commit()


@pytest.fixture
def team(session: Database) -> Team:
    return Team(session)


def test_the_call_that_reaches_the_limit_is_shortened_to_it_and_the_last(team: Team) -> None:
    team.call()
    team.call()
    assert team.used == 10 * CREDIT
    with pytest.raises(Refusal) as refused:
        team.begin()
    assert refused.value.code == "member_limit_reached"


def test_running_calls_reach_the_limit_as_well(team: Team) -> None:
    running = team.begin()
    assert 9 * CREDIT < team.used == running.ceiling <= 10 * CREDIT
    with pytest.raises(Refusal, match="member_limit_reached") as refused:
        team.begin()
    assert (refused.value.retry_after, refused.value.details["reserved"]) == (10, running.ceiling)
    receipt = reservations.settle(running, ANSWER, "done")
    assert receipt
    assert (running.available, receipt.available) == (10 * CREDIT - running.ceiling, 10 * CREDIT - COST)


def test_the_refusal_says_when_it_goes_on(team: Team) -> None:
    team.limit(0)
    with (
        time_machine.travel(datetime(2026, 12, 31, 23, 0, tzinfo=UTC), tick=False),
        pytest.raises(Refusal) as refused,
    ):
        team.begin()
    assert refused.value.retry_after == 3600
    assert refused.value.details["resets_at"] == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_chat_is_refused_as_well(team: Team) -> None:
    team.limit(0)
    details = {"user_id": team.bob.id, "account_id": team.account.id, "role": "member"}
    with pytest.raises(Refusal) as refused:
        reservations.admit(Actor(**details, email="", name="", is_verified=True))
    assert refused.value.code == "member_limit_reached"


def test_a_call_that_failed_counts_nothing(team: Team) -> None:
    team.end(team.begin(), "failed")
    assert team.used == 0


def test_a_new_month_begins_with_nothing_used(team: Team) -> None:
    with time_machine.travel(datetime(2026, 11, 30, 12, tzinfo=UTC)):
        team.call()
    with time_machine.travel(datetime(2026, 12, 1, 0, 1, tzinfo=UTC)):
        assert team.used == 0
        team.call()
        assert team.used == COST


def test_a_call_counts_in_the_month_that_it_began_in(team: Team) -> None:
    with time_machine.travel(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)):
        old = team.begin()
    with time_machine.travel(datetime(2026, 12, 1, 0, 1, tzinfo=UTC)):
        new = team.begin()
        team.end(old)
        assert team.used == new.ceiling
        team.end(new)
        assert (team.used, list(audit())) == (COST, [])


def test_others_and_the_own_account_are_not_limited(team: Team) -> None:
    team.limit(0)
    team.end(team.begin(team.account.owner))
    team.end(team.begin(account_id=team.bob.home_id))
    assert team.used == 0


def test_who_leaves_and_comes_back_has_used_what_they_used(team: Team) -> None:
    team.limit(100 * CREDIT)
    team.call()
    running = team.begin()
    team.membership.end()
    invitation = Invitation.send(team.account, team.account.owner, team.bob.email, "member")
    invitation.accept(team.bob)
    team.session.commit()
    assert team.used == COST + running.ceiling
    team.end(running)
    assert (team.used, list(audit())) == (2 * COST, [])


def test_calls_that_are_added_up_meanwhile_count_once(team: Team) -> None:
    """The settings that the request read know nothing of it yet."""
    team.limit(100 * CREDIT)
    with time_machine.travel(datetime(2026, 11, 29, 12, tzinfo=UTC)):
        team.call()
    with time_machine.travel(datetime(2026, 11, 29, 13, tzinfo=UTC)):
        running = team.begin()
        Setting.stored()
        add_up(utcnow())
        team.session.commit()
        assert team.used == COST + running.ceiling
        assert spent_by_members(team.account.id, month_of(utcnow().date())) == {team.bob.id: team.used}
