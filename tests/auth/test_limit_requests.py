"""A member at the limit asks for more; a manager decides, and what is granted ends with its day."""

from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.limit_request import LimitRequest, end_of_month
from app.models.identity.membership import Membership
from app.models.identity.user import User, UserSession
from app.models.metering.account_state import AccountState
from app.models.metering.member_limit import member_limit
from app.models.metering.refusal import Conflict
from app.models.operations.outbox import OutgoingMail
from tests.admin.conftest import AdminClient
from tests.support import Database, people

CREDIT = 10**6


class Team:
    """Ada's team, in which bob has a limit of 10 credits and has used it, and their browsers."""

    def __init__(self, app: Flask, session: Database) -> None:
        self.app, self.session = app, session
        self.ada, self.bob = people.person("ada").owner, people.person("bob").owner
        self.account = Account.open(self.ada, kind="team", name="Ferries")
        self.place = Membership(account_id=self.account.id, user_id=self.bob.id, role="member")
        self.place.monthly_limit_nanos = 10 * CREDIT
        session.add_all((self.place, people.used(self.place, 10 * CREDIT)))
        session.commit()

    def browser(self, user: User) -> AdminClient:
        client = self.app.test_client()
        secret = UserSession.begin(user, self.account.id)
        self.session.commit()
        with client.session_transaction() as cookie:
            cookie["_user_id"], cookie["_fresh"] = secret, True
        made = AdminClient(client)
        made.token = lambda: client.get("/account").text.split('name="csrf-token" content="')[1].split('"')[0]
        return made

    def left(self, day: date | None = None) -> int:
        at = utcnow() if day is None else utcnow() + (day - utcnow().date())
        return member_limit(AccountState.load(self.account.id), self.bob.id, at).left


@pytest.fixture
def team(app: Flask, session: Database) -> Team:
    return Team(app, session)


def ask(team: Team, **typed: Any) -> Any:
    return team.browser(team.bob).post("/account/requests", **{"amount_credits": "50", "reason": "A deadline"} | typed)


def the_request(team: Team) -> LimitRequest:
    team.session.expire_all()
    return team.session.query(LimitRequest).one()


def test_a_request_goes_to_the_managers_and_grants_until_its_day(team: Team) -> None:
    assert ask(team).status_code == 302
    [mail] = team.session.query(OutgoingMail).filter_by(template="limit_request").all()
    ada = team.browser(team.ada)
    assert ("A deadline" in ada.get("/account").text, mail.to) == (True, "ada@example.com")

    until = utcnow().date() + timedelta(days=2)
    ada.post(f"/account/requests/{the_request(team).id}/approve", amount_credits="30", until=until.isoformat())
    assert (the_request(team).state, the_request(team).granted_nanos) == ("approved", 30 * CREDIT)
    later = 30 * CREDIT if until.month == utcnow().month else 40 * CREDIT
    assert [team.left(), team.left(until)] == [30 * CREDIT, later]
    assert team.session.query(OutgoingMail).filter_by(to="bob@example.com", template="limit_decision").count() == 1


def test_what_is_wrong_is_said_where_it_was_typed(team: Team) -> None:
    ada, bob = team.browser(team.ada), team.browser(team.bob)
    own = {"Referer": "http://localhost/account"}
    bob.client.post(
        "/account/requests",
        headers=own,
        data={"csrf_token": bob.token(), "amount_credits": "fifty", "reason": "A deadline"},
    )
    page = bob.client.get("/account").text
    assert all(text in page for text in ("Enter a number", 'value="fifty"', 'value="A deadline"'))
    ask(team)
    approve = f"/account/requests/{the_request(team).id}/approve"
    ada.client.post(
        approve, headers=own, data={"csrf_token": ada.token(), "amount_credits": "7", "until": "2020-01-02"}
    )
    page = ada.client.get("/account").text
    assert all(text in page for text in ("Is over.", 'value="7"', 'value="2020-01-02"'))


def test_what_was_granted_ends_with_its_day(team: Team) -> None:
    ask(team)
    until = utcnow().date()
    team.browser(team.ada).post(f"/account/requests/{the_request(team).id}/approve", amount_credits="30",
                                until=until.isoformat())  # fmt: skip
    team.session.expire_all()
    after = until + timedelta(days=1)
    kept = 10 * CREDIT if after.month != until.month else 0
    assert (team.left(), team.left(after)) == (30 * CREDIT, kept)


def test_each_of_two_grants_ends_with_its_own_day(team: Team) -> None:
    today = utcnow().date()
    for amount, days in ((30, 40), (5, 35)):
        ask(team)
        open_one = team.session.query(LimitRequest).filter_by(state="open").one()
        team.browser(team.ada).post(f"/account/requests/{open_one.id}/approve", amount_credits=str(amount),
                                    until=(today + timedelta(days=days)).isoformat())  # fmt: skip
    team.session.expire_all()
    left = [team.left(today + timedelta(days=days)) // CREDIT for days in (0, 35, 36, 40, 41)]
    assert left == [35, 45, 40, 40, 10]


def test_another_limit_ends_what_was_granted_above_the_last(team: Team) -> None:
    ask(team)
    ada, path = team.browser(team.ada), f"/account/members/{team.place.id}/limit"
    ada.post(f"/account/requests/{the_request(team).id}/approve", amount_credits="30", until="")
    ada.post(path, limit_credits="10")
    assert ("30 credits more until" in ada.get("/account").text, team.left()) == (True, 30 * CREDIT)
    ada.post(path, limit_credits="11")
    assert ("What was granted on top has ended." in ada.get("/account").text, team.left()) == (True, CREDIT)


def test_the_request_of_who_left_waits_for_nobody(team: Team) -> None:
    ask(team)
    ada = team.browser(team.ada)
    ada.post(f"/account/members/{team.place.id}/remove")
    assert "A deadline" not in ada.get("/account").text
    assert the_request(team).state == "expired"


def test_without_a_day_it_holds_until_the_end_of_the_month(team: Team) -> None:
    ask(team)
    team.browser(team.ada).post(f"/account/requests/{the_request(team).id}/approve", amount_credits="5", until="")
    assert the_request(team).granted_until == end_of_month(utcnow().date())


def test_a_member_has_one_open_request_and_the_database_says_so(team: Team) -> None:
    ask(team)
    assert ask(team).status_code == 409
    team.session.add(LimitRequest(account_id=team.account.id, user_id=team.bob.id, amount_nanos=1))
    with pytest.raises(IntegrityError):
        team.session.flush()
    team.session.rollback()


def test_a_request_is_decided_once(team: Team) -> None:
    ask(team)
    ada, path = team.browser(team.ada), f"/account/requests/{the_request(team).id}"
    assert ada.post(f"{path}/decline").status_code == 302
    assert ada.post(f"{path}/approve", amount_credits="30", until="").status_code == 409
    assert team.left() == 0


def test_no_link_decides_and_no_member_approves(team: Team) -> None:
    ask(team)
    path = f"/account/requests/{the_request(team).id}/approve"
    assert team.browser(team.ada).get(path).status_code == 405
    assert team.browser(team.bob).post(path, amount_credits="50", until="").status_code == 403
    assert the_request(team).state == "open"


@pytest.mark.parametrize("typed", [{"amount_credits": "0"}, {"amount_credits": "abc"}, {"reason": "x" * 501}])
def test_what_makes_no_sense_is_no_request(team: Team, typed: dict[str, str]) -> None:
    assert ask(team, **typed).status_code == 400
    assert team.session.query(LimitRequest).count() == 0


def test_a_request_that_nobody_decides_expires(team: Team) -> None:
    request = LimitRequest.open_for(team.place, 50 * CREDIT, "")
    request.created_at = utcnow() - timedelta(days=8)
    team.session.commit()
    assert LimitRequest.open_of(team.account.id) == []
    assert LimitRequest.open_for(team.place, 5 * CREDIT, "").state == "open"


def test_whoever_has_no_limit_cannot_ask(team: Team) -> None:
    team.place.monthly_limit_nanos = None
    with pytest.raises(Conflict):
        LimitRequest.open_for(team.place, CREDIT, "")
