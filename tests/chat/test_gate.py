"""Refusals at the gate, one by one and in their order; what is reserved, and what is sent. billing-rules.md 5 and 6."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.price import ModelPrice
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture
def change(session: Database, ada: Door) -> Callable[..., None]:
    """`change({"status": "inactive"}, frozen_by="admin")`: columns of plan and account, or what gives it."""

    def apply(plan: dict[str, object] | None = None, **columns: object) -> None:
        account = session.query(Account).order_by(Account.id.desc()).first()
        account.plan = Plan(name="Special")
        for name, value in (plan or {}).items():
            setattr(account.plan, name, value)
        for name, value in columns.items():
            setattr(account, name, value() if callable(value) else value)
        session.commit()

    return apply


def refused(answer: object) -> tuple[int, str]:
    assert answer.mimetype == "application/problem+json", answer.text  # type: ignore[attr-defined]
    assert "X-Credits-Remaining" in answer.headers  # type: ignore[attr-defined]
    return answer.status_code, answer.json["code"]  # type: ignore[attr-defined]


def asked_of(provider: ProviderServer) -> int:
    """The output tokens that the provider was asked for."""
    sent = provider.last["body"]
    return int(sent.get("max_completion_tokens") or sent["max_tokens"])


def today() -> date:
    return utcnow().date()


def tomorrow() -> datetime:
    """A window that has begun already, whatever time it is."""
    return utcnow() + timedelta(days=1)


CASES: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "account_frozen": (403, {"frozen_at": utcnow, "frozen_by": "admin"}, {}),
    "plan_inactive": (403, {}, {"status": "inactive"}),
    "api_not_in_plan": (403, {}, {"has_api": False}),
    "model_not_allowed": (403, {}, {"models": ["another-model"]}),
    "too_many_calls": (429, {"running_calls": 5}, {}),
    "absorbed_limit": (429, {"day_absorbed_nanos": 50 * CREDIT + 1, "day": today}, {}),
    "credits_reserved": (429, {"reserved_nanos": 2000 * CREDIT}, {}),
    "out_of_credits": (402, {"credits_nanos": 0}, {}),
    "daily_limit_reached": (
        429,
        {
            "credits_nanos": 0,
            "allowance_nanos": 9,
            "day_used_nanos": 50,
            "daily_limit_nanos": 50,
            "day": today,
        },
        {},
    ),
    "window_limit_reached": (
        429,
        {
            "credits_nanos": 0,
            "allowance_nanos": 9,
            "window_hours": 12,
            "window_limit_nanos": 5,
            "window_used_nanos": 5,
            "window_start": tomorrow,
        },
        {},
    ),
}


def test_the_gate_refuses(ada: Door, change: Callable[..., None], session: Database) -> None:
    chat, given = ada.new_chat(), {}
    names = {name for _status, columns, _plan in CASES.values() for name in columns}
    account = session.query(Account).order_by(Account.id.desc()).first()
    well = {name: getattr(account, name) for name in names}
    for code, (_status, columns, plan) in CASES.items():
        change(plan, **well | columns)
        answer = ada.send("hello", chat=chat)
        given[code] = *refused(answer), "Retry-After" in answer.headers
    assert given == {code: (status, code, status == 429) for code, (status, _columns, _plan) in CASES.items()}
    change({}, **well)
    assert ada.ask("hello", chat=chat).ended_as == "done"


def test_a_new_chat_is_gated_too(ada: Door, change: Callable[..., None]) -> None:
    """Each reason comes before those that the account has already."""
    given = {}
    reasons = ("out_of_credits", "absorbed_limit", "too_many_calls", "model_not_allowed", "plan_inactive")
    for code in (*reasons, "account_frozen"):
        _status, account, plan = CASES[code]
        change(plan, **account)
        given[code] = refused(ada.call("POST", "/chats", json={"model": "gpt-test"}))
    assert given == {code: (CASES[code][0], code) for code in given}


def test_of_several_reasons_the_first_in_order_is_given(ada: Door, change: Callable[..., None]) -> None:
    chat = ada.new_chat()
    columns = {"running_calls": 9, "credits_nanos": 0}
    change({"status": "inactive", "has_api": False, "models": ["x"]}, **columns)
    assert refused(ada.send("hello", chat=chat))[1] == "plan_inactive"
    change({"has_api": False, "models": ["x"]}, **columns)
    assert refused(ada.send("hello", chat=chat, model="nope"))[1] == "api_not_in_plan"
    change({"models": ["x"]}, **columns)
    assert refused(ada.send("hello", chat=chat, model="nope"))[1] == "model_not_found"
    assert refused(ada.send("hello", chat=chat))[1] == "model_not_allowed"
    change({}, **columns)
    assert refused(ada.send("hello", chat=chat))[1] == "too_many_calls"


def test_a_bearer_of_a_legacy_plan_goes_on(ada: Door, change: Callable[..., None]) -> None:
    change({"status": "legacy"})
    assert ada.ask("hello").ended_as == "done"


def test_an_unverified_address_waits_where_verification_is_required(
    ada: Door, session: Database, require_verified_email: Callable[..., None]
) -> None:
    chat = ada.new_chat()
    session.query(Account).order_by(Account.id.desc()).first().owner.email_verified_at = None
    require_verified_email()
    session.commit()
    assert refused(ada.send("hello", chat=chat)) == (403, "email_unverified")


def test_a_plan_none_of_whose_models_is_for_sale_says_so(
    ada: Door, change: Callable[..., None], session: Database
) -> None:
    change({"models": ["gone"]})
    answer = ada.call("POST", "/chats", json={"content": "hello"})
    assert refused(answer) == (403, "model_not_allowed")
    assert "None of the models in Special can answer" in answer.json["detail"]
    session.query(AIModel).update({"is_for_sale": False})
    session.commit()
    assert ada.call("POST", "/chats", json={"content": "hello"}).json["code"] == "model_not_for_sale"


def test_an_unknown_model_is_refused_by_name(ada: Door) -> None:
    answer = ada.send("hello", chat=ada.new_chat(), model="gpt-9000")
    assert refused(answer) == (404, "model_not_found")
    assert "gpt-9000" in answer.json["detail"]


@pytest.mark.parametrize("reason", ["unpriced", "unapproved", "future", "off", "no key"])
def test_a_model_that_is_not_for_sale_is_refused_by_name(ada: Door, session: Database, reason: str) -> None:
    other = people.model("other")
    price = session.query(ModelPrice).filter_by(model_id=other.id).one()
    if reason == "unpriced":
        session.delete(price)
    elif reason == "unapproved":
        price.approved_at = None
    elif reason == "future":
        price.effective_from = utcnow() + timedelta(days=1)
    elif reason == "off":
        other.is_for_sale = False
    else:
        other.provider.key_variable = "A_KEY_THAT_IS_NOT_SET"
    session.commit()

    assert refused(ada.send("hello", chat=ada.new_chat(), model="other")) == (400, "model_not_for_sale")
    assert "other" not in [model.name for model, _ in AIModel.for_sale()]


def test_the_chats_of_the_month_are_counted(ada: Door, change: Callable[..., None]) -> None:
    change({"chats_per_month": 1})
    chat = ada.new_chat()
    assert refused(ada.call("POST", "/chats", json={})) == (429, "chat_limit_reached")
    assert ada.ask("older chats go on", chat=chat).ended_as == "done"


def test_output_is_lowered_to_what_the_balance_affords(door: Callable[..., Door], provider: ProviderServer) -> None:
    bob = door("bob", credits=1)
    stream = bob.ask("x" * 10_000)

    sent = asked_of(provider)
    assert 256 <= sent < 4096
    assert stream.start["ceiling_nanos"] <= 50 * CREDIT + 1
    assert stream.start["ceiling_nanos"] > 50 * CREDIT - 10_000


def test_what_is_reserved_is_what_is_sent(ada: Door, provider: ProviderServer, session: Database) -> None:
    stream = ada.ask("hello", max_output_tokens=300)
    usage = session.get_one(Usage, int(stream.start["call_id"]))
    assert asked_of(provider) == usage.max_output_tokens == 300


def test_a_request_that_fits_nowhere_names_a_cheaper_model(door: Callable[..., Door], session: Database) -> None:
    bob = door("bob", credits=1)
    answer = bob.send("x" * 30_000, chat=bob.new_chat())

    assert refused(answer) == (402, "request_too_large")
    assert answer.json["needed_nanos"] == (30_000 + 32) * 2500 + 256 * 10_000
    _model, price = AIModel.to_sell(answer.json["model"], utcnow())
    assert price.rates.most_for(30_032, 256) <= 50 * CREDIT + 1
    assert "or buy credits." in answer.json["detail"]
    session.query(Plan).filter_by(is_default=True).one().allows_packs = False
    session.commit()
    answer = bob.send("x" * 30_000, chat=bob.new_chat())
    assert (answer.json["upgrade_url"], "or change your plan." in answer.json["detail"]) == ("/pricing", True)


def test_a_ceiling_above_the_one_that_was_shown_is_a_conflict(ada: Door) -> None:
    shown = ada.call("POST", "/estimate", json={"content": "hello", "model": "gpt-test"}).json["ceiling_nanos"]
    chat = ada.new_chat()
    changed = ada.send("hello", chat=chat, max_cost_nanos=shown - 1)

    assert (changed.status_code, changed.json["code"]) == (409, "price_changed")
    assert ada.ask("hello", chat=chat, max_cost_nanos=shown).ended_as == "done"


def test_every_accepted_call_says_what_is_left(ada: Door) -> None:
    answer = ada.send("hello")
    assert answer.headers["X-Credits-Remaining"] == "958.9475"


def test_the_first_answer_of_a_month_says_what_the_refill_gave(ada: Door, change: Callable[..., None]) -> None:
    change({"allowance_override_nanos": 7 * CREDIT}, credits_nanos=0, period_end=utcnow())
    answer = ada.call("POST", "/chats", json={"model": "gpt-test"})
    assert (answer.status_code, answer.headers["X-Credits-Remaining"]) == (201, "7")
