"""The breaker as programs and pages meet it: refused, told, resumed. billing-rules.md 9."""

import pytest
from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.metering.balance import hour_of
from app.models.metering.spending import SpendingPause
from app.models.metering.usage import Usage
from app.models.operations.outbox import OutgoingMail
from tests.auth.conftest import Browser
from tests.chat.conftest import Door
from tests.gateway.conftest import PATHS, body_of
from tests.support import Database
from tests.support.people import CREDIT, model

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
FAR_TOO_MUCH = 900 * CREDIT


@pytest.fixture
def account(session: Database, ada: Door) -> Account:
    return db.session.scalars(select(Account).where(Account.name == "Ada")).one()


def spend(account: Account, key_id: int | None = None) -> None:
    """A call that has just cost far more than the floor."""
    now, offered = utcnow(), model("spent")
    call = Usage(account_id=account.id, user_id=account.owner.id, model="spent", price_id=offered.prices[0].id)
    call.api_key_id, call.state, call.outcome, call.settled_at, call.day = (
        key_id,
        "settled",
        "done",
        now,
        now.date(),
    )
    call.reserved_nanos = call.cost_nanos = call.credits_paid_nanos = FAR_TOO_MUCH
    call.max_output_tokens = 1
    db.session.add(call)
    account = Account.locked(account.id)
    account.day, account.hour, account.credits_nanos = (
        now.date(),
        hour_of(now),
        account.credits_nanos - FAR_TOO_MUCH,
    )
    account.hour_spent_nanos = account.day_spent_nanos = FAR_TOO_MUCH
    db.session.commit()


def set_role(account: Account, role: str) -> None:
    db.session.get_one(Account, account.id).memberships[0].role = role
    db.session.commit()


def test_a_paused_account_is_refused_told_once_and_resumed(ada: Door, account: Account) -> None:
    chat = ada.new_chat()
    spend(account)
    answers = [ada.send("hello", chat=chat) for _ in range(3)]
    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(429, "spending_paused")}
    first = answers[0]
    assert (first.json["resume_url"], "Retry-After" in first.headers) == ("/billing/breaker", False)
    assert first.headers["X-Should-Retry"] == "false"
    set_role(account, "member")
    told = ada.send("hello", chat=chat).json
    assert (told["way_out"], told["upgrade_url"], "resume_url" in told) == ("members", "/account", False)
    set_role(account, "owner")
    assert db.session.scalars(select(OutgoingMail.template)).all() == ["spending_paused"]
    read = ada.call("GET", "/breaker").json
    assert (read["is_paused"], read["pauses"][0]["spent_credits"], read["day_bar_credits"]) == (
        True,
        "900",
        "200",
    )
    assert ada.call("POST", "/breaker/resume", json={"until": "week"}).status_code == 400
    assert ada.call("POST", "/breaker/resume", json={"until": "hour"}).json["is_paused"] is False
    ada.ask("hello", chat=chat)


def test_a_paused_key_may_not_resume_itself_and_others_go_on(ada: Door, account: Account) -> None:
    nightly, secret = ApiKey.make(account.id, account.owner.id, "nightly")
    db.session.commit()
    ran_away = Door(ada.client, secret)
    chat = ran_away.new_chat()
    spend(account, nightly.id)
    assert [ran_away.send("hello", chat=chat).json["code"] for _ in range(2)] == ["spending_paused"] * 2
    assert ran_away.call("POST", "/breaker/resume", json={}).json["code"] == "key_scope"
    ada.ask("hello")
    [pause] = ada.call("GET", "/breaker").json["pauses"]
    assert (pause["key_id"], pause["detail"]) == (
        str(nightly.id), 'In a minute: 900 credits by key "nightly", 100% of it spent.',
    )  # fmt: skip


def test_what_a_resumed_key_had_spent_counts_again_after_its_hour(ada: Door, account: Account) -> None:
    nightly, secret = ApiKey.make(account.id, account.owner.id, "nightly")
    db.session.commit()
    ran_away = Door(ada.client, secret)
    spend(account, nightly.id)
    ada.call("POST", "/chats", json={})
    assert ran_away.call("POST", "/chats", json={}).json["code"] == "spending_paused"
    assert ada.call("POST", "/breaker/resume", json={"until": "hour"}).json["is_paused"] is False
    ran_away.new_chat()
    Account.locked(account.id).breaker_off_until = utcnow()
    db.session.commit()
    assert ran_away.call("POST", "/chats", json={}).json["code"] == "spending_paused"


@pytest.mark.parametrize("dialect", [*PATHS])
def test_the_gateway_says_so_in_each_dialect_and_not_to_retry(ada: Door, account: Account, dialect: str) -> None:
    model("claude-test", kind="anthropic")
    spend(account)
    name = "claude-test" if dialect == "messages" else "gpt-test"
    answer = ada.client.post(PATHS[dialect], json=body_of(dialect, model=name), headers=ada.headers)
    named = {name: answer.headers[name] for name in ("X-Should-Retry", "X-Tollgate-Code", "X-Tollgate-Resume-Url")}
    assert (answer.status_code, named) == (
        429,
        {
            "X-Should-Retry": "false",
            "X-Tollgate-Code": "spending_paused",
            "X-Tollgate-Resume-Url": "http://127.0.0.1/billing/breaker",
        },
    )
    assert "Retry-After" not in answer.headers


def test_every_page_says_so_and_one_click_resumes(ada: Door, account: Account) -> None:
    chat = ada.new_chat()
    spend(account)
    ada.send("hello", chat=chat)
    browser = Browser(ada.client.application.test_client())
    browser.sign_in("ada")
    assert "Spending is paused." in browser.get("/settings").text
    assert "In a minute: 900 credits" in browser.get("/billing/breaker").text
    browser.send("/billing/breaker/resume", until="day", was_mistake="on")
    pause = db.session.scalars(select(SpendingPause)).one()
    assert (pause.resumed_by_id, pause.was_mistake) == (account.owner.id, True)
    assert "Spending is paused." not in browser.get("/settings").text
    browser.send("/billing/breaker", breaker="alert")
    assert "Only email the owner" in browser.get("/billing/breaker").text
    db.session.expire_all()
    assert account.breaker == "alert"
