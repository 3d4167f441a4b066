"""Fields that are not the sender's to set change nothing, wherever they are sent. security.md 7."""

from flask import Flask

from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from tests.security.conftest import Teams
from tests.security.test_routes import SIGNED_BY_THEIR_SENDER, UNSAFE, address, body_for, rules
from tests.support import Database


def account_state(session: Database) -> dict[str, object]:
    """Who may what, who has how much, and on whose account eve is."""
    session.rollback()
    session.expire_all()
    accounts = session.query(Account).order_by(Account.id)
    people = session.query(User).order_by(User.id)
    places = session.query(Membership).order_by(Membership.id)
    return {
        "accounts": [(a.id, a.kind, a.plan_id, a.credits_nanos, a.reserved_nanos, a.frozen_at) for a in accounts],
        "people": [(one.id, one.admin_role, one.disabled_at, one.is_verified) for one in people],
        "places": [(one.account_id, one.user_id) for one in places],
        "chats": [(chat.id, chat.account_id) for chat in session.query(Chat).order_by(Chat.id)],
    }


def test_no_field_of_any_form_or_body_makes_anybody_more(
    app: Flask, adas: dict[str, int], team_of: Teams, session: Database
) -> None:
    """Owners, balances, plans, rights and verification stay; what a route makes anew is the sender's, and empty."""
    ada, before = team_of.browsers["ada"], account_state(session)
    free = Plan.default().id
    dear = session.query(Plan).order_by(Plan.price_cents.desc()).first()
    wanted = {"is_admin": "1", "admin_role": "owner", "credits_nanos": 10**12, "allowance_nanos": 10**12}
    wanted |= {
        "account_id": 1,
        "user_id": 1,
        "plan_id": dear.id,
        "is_verified": "1",
        "email_verified_at": "2026-01-01",
    }
    wanted |= {"price_cents": 0, "worth_nanos": 10**12, "kind": "house", "state": "paid", "reserved_nanos": 0}
    for method, rule in rules(app):
        if method in UNSAFE and rule not in SIGNED_BY_THEIR_SENDER and not leaves(rule):
            sent = {"json" if rule.startswith("/api") else "data": wanted | body_for(rule)}
            path = address(rule, adas | {"token": "made-up"})
            answer = ada.client.open(path, method=method, headers={"X-CSRFToken": ada.token()}, **sent)
            assert answer.status_code < 500 or answer.status_code == 503, (method, rule, answer.text[:200])
    after = account_state(session)
    for name, rows in before.items():
        assert after[name][: len(rows)] == rows, name
    made = after["accounts"][len(before["accounts"]) :]
    assert [row[1:] for row in made] == [("team", free, 0, 0, None)]


LEAVING = {"/logout", "/account/switch", "/account/leave", "/account/close", "/settings/sessions/end"}


def leaves(rule: str) -> bool:
    """Routes after which ada is not there anymore, or acts on another account."""
    return rule in LEAVING or "session_id" in rule
