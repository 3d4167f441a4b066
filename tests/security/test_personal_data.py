"""Deleted is gone: from every column of every table. security.md 29."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import JSON, LargeBinary, String, func, insert, select

from app.db.types import Base
from app.extensions import db
from app.generation.jobs import forget_deleted_chats
from app.models.base import utcnow
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.catalog.plan import CreditPack
from app.models.catalog.setting import Setting
from app.models.chat.attachment import TEXT, Attachment
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.personal_data import MENTIONS, PERSONAL
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange
from tests.auth.conftest import Browser, PostOffice, post_office
from tests.support import Database, people
from tests.support.people import PASSWORD

__all__ = ["post_office"]
NAME, ADDRESS, FORMER = "Canarina Finch", "canary.now@example.com", "canary.then@example.com"
CANARIES = ("canar", "CANAR", "Canar", "Finch", "finch")

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))

NOT_PERSONAL = {
    "accounts": ("breaker", "kind", "frozen_by", "stripe_customer_id"),
    "admin_changes": ("action", "subject", "subject_id"),
    "api_keys": ("prefix", "secret_hash", "scopes", "models"),
    "attachments": ("media_type", "excerpt"),
    "auto_recharges": ("card_id", "pause_reason", "limit_notified_for"),
    "brands": ("color", "logo_type"),
    "chats": ("model",),
    "disputes": ("stripe_id", "status"),
    "document_revisions": ("state", "status", "operation", "error_code"),
    "documents": ("kind",),
    "invitations": ("role",),
    "ledger_entries": ("kind", "key", "month"),
    "limit_requests": ("state",),
    "mailed_tokens": ("purpose",),
    "memberships": ("role", "own_limit_period", "extras"),
    "messages": ("role", "status", "error_code", "model"),
    "outgoing_mails": ("key", "template"),
    "payments": ("kind", "state", "currency", "stripe_session_id", "stripe_payment_intent_id", "stripe_invoice_id",
                 "number"),
    "recharges": ("state", "card_id", "stripe_customer_id", "stripe_payment_intent_id", "decline_code"),
    "refunds": ("status", "stripe_id"),
    "refusal_counts": ("code",),
    "reratings": ("figures", "state", "reason", "preview"),
    "refused_calls": ("model", "code"),
    "spending_pauses": ("period", "model"),
    "stripe_events": ("stripe_id", "type", "about", "state", "error"),
    "former_stripe_ids": ("stripe_id", "price_id", "published_digest", "kind"),
    "stripe_accounts": ("stripe_id",),
    "subscriptions": ("status", "stripe_id", "stripe_session_id", "stripe_customer_id", "stripe_item_id",
                      "stripe_price_id", "stripe_schedule_id", "currency", "rejected_for", "trial_card", "card_id"),
    "sync_versions": ("stripe_id",),
    "webhook_deliveries": ("key", "event", "body", "outcome"),
    "usages": ("operation", "model", "state", "outcome", "source", "raw", "finish_reason", "answered_model",
               "service_tier"),
    "image_prices": ("*",),
    **dict.fromkeys(("plans", "packs", "promotion_codes", "redemptions", "operations", "providers", "models",
                     "model_prices", "settings", "daily_totals", "account_days", "call_audits",
                     "spending_days", "lab_runs", "habits", "catalog_proposals"), ("*",)),
}  # fmt: skip
"""Words of ours, ids of Stripe's and marks that name nobody; "*" is all of a table that is about nobody."""


def listed() -> set[tuple[str, str]]:
    named = [(one.table, column) for one in PERSONAL for column in one.columns]
    named += [(table, column) for group in (MENTIONS, NOT_PERSONAL) for table in group for column in group[table]]
    return set(named)


def test_every_column_with_text_is_listed_as_personal_or_not() -> None:
    known = listed()
    unlisted = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, String | JSON | LargeBinary)
        and not {(table.name, column.name), (table.name, "*")} & known
    }
    assert unlisted == set()


def test_the_lists_name_columns_that_are_there() -> None:
    there = {(table.name, column.name) for table in Base.metadata.sorted_tables for column in table.c}
    assert {one for one in listed() if one[1] != "*"} - there == set()


def everything() -> dict[str, str]:
    """What every table holds, as text, by "table.column"."""
    db.session.rollback()
    tables = [(table, db.session.execute(table.select()).all()) for table in Base.metadata.sorted_tables]
    return {
        f"{table.name}.{column.name}": repr([row[place] for row in rows])
        for table, rows in tables
        for place, column in enumerate(table.c)
    }


def traces() -> set[str]:
    return in_any(everything())


def in_any(columns: dict[str, str]) -> set[str]:
    return {name for name, values in columns.items() if any(canary in values for canary in CANARIES)}


@pytest.fixture
def canary(new_browser: Callable[[], Browser], post_office: PostOffice, session: Database) -> Browser:
    """A person who left something of themselves wherever one can."""
    browser = new_browser()
    browser.send("/signup", email=FORMER, password=PASSWORD, name=NAME)
    browser.get(post_office.link_to(FORMER))
    browser.send("/settings/email", email=ADDRESS, current_password=PASSWORD)
    browser.get(post_office.link_to(ADDRESS))
    browser.send("/password/forgot", email=ADDRESS)
    browser.send("/settings/instructions", system_prompt="I keep a canary.")
    browser.send("/settings/prompts", prompt="Ask the canary.")
    browser.send("/account/teams", name="The Finch nest")
    browser.send("/account/invitations", email="friend@example.com", role="member")
    post_office.mails_to(ADDRESS)
    browser.send("/settings/password", current_password=PASSWORD, password="a canary's own words")
    leave_traces(User.with_email(ADDRESS), session)
    return browser


def leave_traces(user: User, session: Database) -> None:
    own = {"account_id": user.home_id, "user_id": user.id}
    account, pack = session.get(Account, user.home_id), session.query(CreditPack).first()
    chat = Chat(**own, title="On canaries", system_prompt="Sing like a canary", model="demo", share_token="canary")
    key, _secret = ApiKey.make(user.home_id, user.id, "Finch's robot")
    session.add_all([chat, key])
    session.flush()
    question = Message(account_id=account.id, chat_id=chat.id, role="user", content="my canary sings")
    session.add(question)
    session.flush()
    file = Attachment(**own, message_id=question.id, name="canary.txt", media_type=TEXT, size=6, content=b"canary")
    payment = Payment(**own, kind="pack", pack_id=pack.id, price_cents=1000, currency="usd")
    payment.page_url = "https://pay.example/canary"
    recharge = AutoRecharge(account_id=account.id, pack_id=pack.id, card_label="Visa of Finch")
    session.add_all([file, payment, recharge])
    LedgerEntry.post(account, "grant", "test:1", credits=1, reason=f"Sorry, {NAME} ({ADDRESS})")
    AdminChange.note(user.id, "edit", user, changes={"name": [NAME, ADDRESS]}, reason=f"{NAME} asked for it")
    session.commit()


def test_a_person_downloads_all_of_it_and_once_deleted_is_found_nowhere(
    canary: Browser, signed_in: Callable[..., Browser], session: Database
) -> None:
    """Nobody else downloads any of it; what was charged stays, without a name."""
    is_downloaded(canary)
    kept = signed_in("eve").send("/settings/data").text
    assert [canary for canary in CANARIES if canary in kept] == []
    before = everything()
    assert len(in_any(before)) > 12
    deleted = canary.send("/settings/delete", current_password="a canary's own words")
    assert (deleted.status_code, deleted.location) == (302, "/")
    after = everything()
    assert in_any(after) == set()
    charged = [name for name in before if name.endswith(("_nanos", "_cents"))]
    assert {name: after[name] for name in charged} == {name: before[name] for name in charged}


def is_downloaded(canary: Browser) -> None:
    answer = canary.send("/settings/data")
    assert answer.headers["Content-Disposition"] == "attachment; filename=my-data.json"
    kept = json.loads(answer.data)
    assert kept["users"][0]["email"] == ADDRESS
    assert [row["content"] for row in kept["messages"]] == ["my canary sings"]
    assert {row["name"] for row in kept["accounts"]} == {NAME, "The Finch nest"}
    shown = answer.text.lower()
    assert [word for word in ("password_hash", "secret_hash", "totp", "argon2") if word in shown] == []


def talk(session: Database, ada: Browser, status: str = "done") -> int:
    user = User.with_email("ada@example.com")
    chat = Chat(account_id=user.home_id, user_id=user.id, title="On canaries", model="demo")
    session.add(chat)
    session.flush()
    session.add(Message(account_id=user.home_id, chat_id=chat.id, role="user", content="my canary", status=status))
    session.commit()
    return chat.id


def delete(ada: Browser, chat_id: int) -> None:
    assert ada.client.delete(f"/api/chats/{chat_id}", headers={"X-CSRFToken": ada.token()}).status_code == 204


def test_a_deleted_chat_is_gone_at_once(signed_in: Callable[..., Browser], session: Database) -> None:
    ada = signed_in("ada")
    delete(ada, talk(session, ada))
    assert traces() == set()


def test_a_deleted_chat_is_kept_for_the_days_of_the_setting(
    signed_in: Callable[..., Browser], session: Database
) -> None:
    Setting.put("deleted_chat_days", 7)
    ada = signed_in("ada")
    chat_id = talk(session, ada)
    delete(ada, chat_id)
    with time_machine.travel(utcnow() + timedelta(days=6)):
        assert (forget_deleted_chats(), traces()) == (0, {"chats.title", "messages.content"})
    with time_machine.travel(utcnow() + timedelta(days=7, minutes=1)):
        assert (forget_deleted_chats(), traces(), forget_deleted_chats()) == (1, set(), 0)


def test_an_answer_that_runs_on_is_erased_when_it_has_ended(
    signed_in: Callable[..., Browser], session: Database
) -> None:
    ada = signed_in("ada")
    chat_id = talk(session, ada, status="running")
    delete(ada, chat_id)
    session.query(Message).update({"content": "a canary again", "status": "done"})
    session.commit()
    assert (forget_deleted_chats(), traces(), forget_deleted_chats()) == (1, set(), 0)


def test_a_message_that_another_tab_was_sending_goes_too(signed_in: Callable[..., Browser], session: Database) -> None:
    ada = signed_in("ada")
    chat_id = talk(session, ada)
    delete(ada, chat_id)
    own = {"account_id": User.with_email("ada@example.com").home_id, "chat_id": chat_id}
    session.add(Message(**own, role="user", content="one more canary"))
    session.commit()
    with time_machine.travel(utcnow() + timedelta(hours=2)):
        assert (forget_deleted_chats(), traces(), forget_deleted_chats()) == (1, set(), 0)


@pytest.mark.long
@pytest.mark.databases("postgresql")
def test_more_chats_than_a_statement_may_have_values_are_erased(session: Database) -> None:
    """One account's must not keep everybody's from being erased."""
    account = people.person("ada")
    owner = {"account_id": account.id, "user_id": account.owner.id}
    due = {"title": "secret", "model": "m", "deleted_at": utcnow(), "erase_at": utcnow() - timedelta(days=1)}
    session.execute(insert(Chat), [owner | due] * 66_000)
    session.commit()
    forget_deleted_chats()
    session.rollback()
    assert session.scalar(select(func.count()).select_from(Chat).where(Chat.title != "")) == 0
