"""Teams: who may do what to whom, and what becomes of those who are out. security.md 19."""

import re
from collections.abc import Callable
from typing import ClassVar

import pytest

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from app.models.identity.user import User, UserSession
from tests.auth.conftest import Browser
from tests.support import Database
from tests.support.people import CREDIT, PASSWORD, person

FIELD = r'name="shown_account" value="(\d+)"'
ROLES = ("owner", "admin", "member")


class Team:
    """A team of five: olga and otto own it, abe is its admin, mia and max are members; eve is a stranger."""

    PEOPLE: ClassVar = {"olga": "owner", "otto": "owner", "abe": "admin", "mia": "member", "max": "member"}

    def __init__(self, new_browser: Callable[[], Browser]) -> None:
        users = {name: person(name).memberships[0].user for name in (*self.PEOPLE, "eve")}
        account = Account.open(users["olga"], kind="team", name="Gate keepers")
        for name, role in list(self.PEOPLE.items())[1:]:
            db.session.add(Membership(account=account, user=users[name], role=role))
        db.session.commit()
        self.id, self.users = account.id, {name: user.id for name, user in users.items()}
        self.browsers = SignedIn(self, new_browser)

    def membership(self, name: str) -> Membership | None:
        db.session.expire_all()
        return Membership.of(self.users[name], self.id)

    def role(self, name: str) -> str | None:
        membership = self.membership(name)
        return membership.role if membership else None

    def post(self, by: str, path: str, *, to: str | None = None, **fields: object) -> int:
        """The status of what `by` does; `to` is whose place the path names."""
        membership = self.membership(to) if to else None
        return self.browsers[by].send(path.format(membership.id if membership else ""), **fields).status_code


class SignedIn(dict[str, Browser]):
    """The browsers of those whom a test is about: each is signed in, and in the team, when it is first asked for."""

    def __init__(self, team: Team, new_browser: Callable[[], Browser]) -> None:
        super().__init__()
        self.team, self.new_browser = team, new_browser

    def __missing__(self, name: str) -> Browser:
        browser, user = self.new_browser(), db.session.get_one(User, self.team.users[name])
        secret = UserSession.begin(user, self.team.id if name in self.team.PEOPLE else user.home_id)
        db.session.commit()
        with browser.client.session_transaction() as cookie:
            cookie["_user_id"], cookie["_fresh"] = secret, True
        self[name] = browser
        return browser


@pytest.fixture
def team(session: Database, new_browser: Callable[[], Browser]) -> Team:
    return Team(new_browser)


ACTIONS = {
    "see the account": ("GET", "/account", None, {}),
    "see the billing": ("GET", "/billing", None, {}),
    "see the transactions": ("GET", "/api/transactions", None, {}),
    "buy": ("POST", "/api/checkout", None, {}),
    "invite": ("POST", "/account/invitations", None, {"email": "new@example.com", "role": "member"}),
    "invite an admin": ("POST", "/account/invitations", None, {"email": "new@example.com", "role": "admin"}),
    "invite an owner": ("POST", "/account/invitations", None, {"email": "new@example.com", "role": "owner"}),
    "promote a member to admin": ("POST", "/account/members/{}/role", "max", {"role": "admin"}),
    "promote a member to owner": ("POST", "/account/members/{}/role", "max", {"role": "owner"}),
    "demote an owner": ("POST", "/account/members/{}/role", "otto", {"role": "member"}),
    "limit a member": ("POST", "/account/members/{}/limit", "max", {"limit_credits": "100"}),
    "limit an owner": ("POST", "/account/members/{}/limit", "otto", {"limit_credits": "100"}),
    "remove a member": ("POST", "/account/members/{}/remove", "max", {}),
    "remove an owner": ("POST", "/account/members/{}/remove", "otto", {}),
    "hand over": ("POST", "/account/members/{}/owner", "max", {}),
    "rename": ("POST", "/account/rename", None, {"name": "Toll keepers"}),
    "close": ("POST", "/account/close", None, {"current_password": PASSWORD}),
    "leave": ("POST", "/account/leave", None, {}),
    "create a team": ("POST", "/account/teams", None, {"name": "Another"}),
}
MATRIX = {
    #                             owner admin member
    "see the account":           (200, 200, 200),
    "see the billing":           (200, 200, 403),
    "see the transactions":      (200, 200, 403),
    "buy":                       (400, 400, 403),
    "invite":                    (302, 302, 403),
    "invite an admin":           (302, 302, 403),
    "invite an owner":           (400, 400, 403),
    "promote a member to admin": (302, 302, 403),
    "promote a member to owner": (302, 403, 403),
    "demote an owner":           (302, 403, 403),
    "limit a member":            (302, 302, 403),
    "limit an owner":            (302, 403, 403),
    "remove a member":           (302, 302, 403),
    "remove an owner":           (302, 403, 403),
    "hand over":                 (302, 403, 403),
    "rename":                    (302, 302, 403),
    "close":                     (302, 403, 403),
    "leave":                     (302, 302, 302),
    "create a team":             (302, 302, 302),
}  # fmt: skip
WHO = {"owner": "olga", "admin": "abe", "member": "mia"}


def status_of(team: Team, role: str, action: str) -> int:
    method, path, other, fields = ACTIONS[action]
    if method == "GET":
        return team.browsers[WHO[role]].get(path, follow_redirects=True).status_code
    return team.post(WHO[role], path, to=other, **fields)


DONE = [(role, action) for action in MATRIX for role in ROLES if MATRIX[action][ROLES.index(role)] == 302]
GENTLE = ("invite", "invite an admin", "limit a member", "limit an owner", "rename", "create a team")
"""What leaves everybody in place."""


@pytest.mark.parametrize("role", ROLES)
def test_each_role_does_what_the_matrix_says_and_changes_no_place(team: Team, role: str) -> None:
    done = [action for action in GENTLE if (role, action) in DONE]
    assert {action: status_of(team, role, action) for action in done} == dict.fromkeys(done, 302)


@pytest.mark.parametrize(("role", "action"), [(role, action) for role, action in DONE if action not in GENTLE])
def test_each_role_does_to_others_what_the_matrix_says(team: Team, role: str, action: str) -> None:
    assert status_of(team, role, action) == 302


def test_each_action_has_a_row_in_the_matrix() -> None:
    assert MATRIX.keys() == ACTIONS.keys()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_shown_and_refused_what_the_matrix_says(team: Team, role: str) -> None:
    """Nothing of it changes the team."""
    rest = {action: row[ROLES.index(role)] for action, row in MATRIX.items() if (role, action) not in DONE}
    assert {action: status_of(team, role, action) for action in rest} == rest


def test_a_stranger_finds_nobody_of_the_team(team: Team) -> None:
    paths = ("role", "limit", "remove", "owner")
    fields = {"role": "member", "limit_credits": "1"}
    team.post("eve", "/account/teams", name="Eve's own")
    statuses = {team.post("eve", f"/account/members/{{}}/{path}", to="max", **fields) for path in paths}
    assert (statuses, team.role("max")) == ({404}, "member")


def test_switching_to_nothing_is_not_found(team: Team) -> None:
    for account_id in ("", "0", "-1", "99999", "1e3", "x", "9" * 30):
        assert team.post("eve", "/account/switch", account_id=account_id) == 404, account_id


def test_switching_changes_the_balance_in_view(team: Team, session: Database) -> None:
    session.get(Account, team.id).credits_nanos = 777 * CREDIT
    session.commit()
    mia = team.browsers["mia"]
    assert mia.get("/api/balance").json["credits_credits"] == "777"
    mia.send("/account/switch", account_id=session.get(User, team.users["mia"]).home_id)
    assert mia.get("/api/balance").json["credits_credits"] == "0"


def test_a_page_changes_no_other_account_than_it_shows(team: Team, session: Database) -> None:
    """olga's page of the team is open while she goes to another of her teams in another tab; mia's while she is out."""
    olga, mia = team.browsers["olga"], team.browsers["mia"]
    shown = {who: re.search(FIELD, who.get("/account").text)[1] for who in (olga, mia)}
    olga.send("/account/teams", name="Second")
    team.post("abe", "/account/members/{}/remove", to="mia")
    second = session.query(Account).filter_by(name="Second").one()
    for who, path, fields in (
        (olga, "/account/close", {"current_password": PASSWORD}),
        (olga, "/account/own-limit", {"limit_credits": "1"}),
        (olga, "/settings/keys", {"name": "mine"}),
        (mia, "/account/own-limit", {"limit_credits": "1"}),
    ):
        assert who.send(path, shown_account=shown[who], **fields).status_code == 409, path
    headers = {"X-CSRFToken": olga.token(), "X-Account": shown[olga]}
    refused = olga.client.post("/api/chats", json={}, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (409, "other_account")
    assert "Second now" in refused.json["detail"]
    assert olga.send("/account/switch", shown_account=second.id, account_id=team.id).status_code == 302
    assert olga.send("/account/rename", shown_account=shown[olga], name="Renamed").status_code == 302
    session.expire_all()
    assert (second.closed_at, session.query(ApiKey).count(), session.get(Account, team.id).name) == (None, 0, "Renamed")


def test_who_is_removed_is_out_at_the_next_request(team: Team) -> None:
    mia = team.browsers["mia"]
    assert "Gate keepers" in mia.get("/account").text
    team.post("olga", "/account/members/{}/remove", to="mia")
    page = mia.get("/account")
    assert (page.status_code, "Gate keepers" in page.text) == (200, False)
    assert team.post("mia", "/account/switch", account_id=team.id) == 404


def test_the_keys_of_who_is_removed_are_dead(team: Team, session: Database) -> None:
    _key, secret = ApiKey.make(team.id, team.users["mia"], "robot")
    session.commit()
    bearer = {"Authorization": f"Bearer {secret}"}
    client = team.browsers["eve"].client.application.test_client()
    assert client.get("/api/balance", headers=bearer).status_code == 200
    team.post("olga", "/account/members/{}/remove", to="mia")
    assert client.get("/api/balance", headers=bearer).status_code == 401


def test_the_last_owner_can_neither_leave_nor_step_down(team: Team) -> None:
    assert team.post("otto", "/account/leave") == 302
    own = team.post("olga", "/account/members/{}/role", to="olga", role="admin")
    assert (team.post("olga", "/account/leave"), own, team.role("olga")) == (409, 409, "owner")


def test_a_disabled_owner_is_none_to_leave_the_team_to(team: Team, session: Database) -> None:
    session.get(User, team.users["otto"]).disable()
    session.get(User, team.users["mia"]).disable()
    session.commit()
    assert team.post("olga", "/account/leave") == 409
    assert team.post("olga", "/account/members/{}/owner", to="mia") == 409
    assert (team.role("olga"), team.role("mia")) == ("owner", "member")
    session.get(User, team.users["otto"]).disabled_at = None
    session.get(User, team.users["olga"]).disable()
    session.commit()
    assert session.get(Account, team.id).owner.name == "Otto"


def test_an_owner_hands_the_team_over_and_leaves(team: Team) -> None:
    team.post("otto", "/account/leave")
    team.post("olga", "/account/members/{}/owner", to="mia")
    assert (team.role("mia"), team.role("olga")) == ("owner", "admin")
    assert (team.post("olga", "/account/leave"), team.role("olga")) == (302, None)


def test_nobody_leaves_their_own_account_and_a_team_starts_with_nothing(team: Team) -> None:
    assert team.post("eve", "/account/leave") == 403
    assert team.browsers["eve"].is_signed_in
    team.post("eve", "/account/teams", name="Eve's own")
    balance = team.browsers["eve"].get("/api/balance").json
    assert (balance["plan"]["name"], balance["allowance_nanos"], balance["available_nanos"]) == ("Free", 0, 0)


def test_a_closed_team_is_of_no_use_and_keeps_its_ledger(team: Team, session: Database) -> None:
    _key, secret = ApiKey.make(team.id, team.users["mia"], "robot")
    session.commit()
    assert team.post("olga", "/account/close", current_password=PASSWORD) == 302
    session.expire_all()
    assert session.get(Account, team.id).closed_at
    assert "Gate keepers" not in team.browsers["mia"].get("/chat").text
    assert team.post("mia", "/account/switch", account_id=team.id) == 404
    assert team.browsers["eve"].get("/api/balance", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_team_is_not_closed_with_a_wrong_password(team: Team, session: Database) -> None:
    assert team.post("olga", "/account/close", current_password="a wrong password") == 400
    session.expire_all()
    assert session.get(Account, team.id).closed_at is None


def test_a_limit_that_cannot_be_is_refused(team: Team) -> None:
    for sent in ("-1", "NaN", "Infinity", "1e99", "x", "1000000001"):
        assert team.post("olga", "/account/members/{}/limit", to="mia", limit_credits=sent) == 400, sent
        assert team.membership("mia").monthly_limit_nanos is None


def test_a_limit_is_in_credits_and_may_be_lifted(team: Team) -> None:
    for sent, nanos in (("0", 0), ("0.5", CREDIT // 2), ("250", 250 * CREDIT), ("", None)):
        assert team.post("olga", "/account/members/{}/limit", to="mia", limit_credits=sent) == 302, sent
        assert team.membership("mia").monthly_limit_nanos == nanos


def test_mass_assignment_of_a_place_changes_nothing_else(team: Team) -> None:
    more = {"role": "owner", "used_nanos": "0", "user_id": "1"}
    team.post("abe", "/account/members/{}/limit", to="max", limit_credits="5", **more)
    team.post("abe", "/account/rename", name="New", kind="personal", plan_id="5", credits_nanos="99")
    account = db.session.get(Account, team.id)
    stands = team.role("max"), account.kind, account.plan.name, account.credits_nanos
    assert stands == ("member", "team", "Free", 0)
