"""Budgets and limits of one's own over HTTP; a member's request from inside the refusal."""

from collections.abc import Callable

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.operations.outbox import OutgoingMail
from tests.auth.conftest import Browser
from tests.chat.conftest import Door, ada, door, environment, provider
from tests.support import Database
from tests.support.people import CREDIT, give, person

__all__ = ["ada", "door", "environment", "provider"]


def test_a_chats_budget_is_set_refused_at_and_raised(ada: Door) -> None:
    chat = ada.call("POST", "/chats", json={"model": "gpt-test", "budget_credits": "0.001"}).json
    assert chat["budget_credits"] == "0.001"
    refused = ada.send("hello", chat=chat["id"])
    assert (refused.status_code, refused.json["code"]) == (429, "chat_budget_reached")
    assert refused.json["needed_nanos"] > refused.json["left_nanos"] == 1_000
    assert "Raise the budget to continue." in refused.json["detail"]
    raised = ada.call("PATCH", f"/chats/{chat['id']}", json={"budget_credits": "50"})
    assert raised.json["budget_nanos"] == 50 * CREDIT
    ada.ask("hello", chat=chat["id"])
    assert ada.call("PATCH", f"/chats/{chat['id']}", json={"budget_credits": "0"}).json["budget_nanos"] is None
    assert ada.call("PATCH", f"/chats/{chat['id']}", json={"budget_credits": "-1"}).status_code == 400


def test_ones_own_limit_is_set_by_the_person_and_not_by_a_key(ada: Door) -> None:
    assert ada.call("PUT", "/own-limit", json={"limit_credits": "1"}).json["code"] == "key_scope"
    browser = Browser(ada.client.application.test_client())
    browser.sign_in("ada")
    browser.send("/account/own-limit", limit_credits="0.001", period="week")
    assert ada.call("GET", "/own-limit").json["left_credits"] == "0.001"
    refused = ada.send("hello")
    assert (refused.status_code, refused.json["code"], refused.json["limit_kind"]) == (
        429,
        "own_limit_reached",
        "week",
    )
    assert "used or reserved 0 of the 0.001 credits a week you set yourself." in refused.json["detail"]
    browser.send("/account/own-limit", limit_credits="")
    ada.ask("hello")


def test_a_member_asks_for_more_where_the_limit_was_met(session: Database, door: Callable[..., Door]) -> None:
    owner, bob = person("owner").owner, person("bob").owner
    team = Account.open(owner, kind="team", name="Team")
    team.memberships.append(Membership(user=bob, role="member", monthly_limit_nanos=0))
    give(team, credits=100 * CREDIT)
    db.session.commit()
    client = door("ada").client.application.test_client()
    browser = Browser(client)
    browser.sign_in("bob")
    browser.send("/account/switch", account_id=str(team.id))
    said = {
        "json": {"amount_credits": "50", "reason": "a report"},
        "headers": {"X-CSRFToken": browser.token()},
    }
    first = client.post("/api/limit-requests", **said)
    assert (first.status_code, first.json["amount_credits"], first.json["state"]) == (201, "50", "open")
    assert client.post("/api/limit-requests", **said).status_code == 409
    mails = db.session.query(OutgoingMail).filter_by(template="limit_request").all()
    assert [db.session.get_one(User, mail.user_id).id for mail in mails] == [owner.id]
