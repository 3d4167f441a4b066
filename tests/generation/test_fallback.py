"""The model that takes the place of one whose provider fails before the first word: who answers, and what it costs."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.generation import cooldown
from app.generation.fallback import fallback_of
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.chat.chat import Message
from app.models.identity.api_key import ApiKey
from app.models.metering.reservation import reservation_of
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage
from app.providers.image_tokens import PromptImage
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT, Heard, heard
from tests.support.provider_server import ProviderServer

DOWN, UPSTREAM = "gpt [[fault:401]]", "claude-at-its-vendor"


@pytest.fixture
def asked(ada: Door, session: Database, monkeypatch: pytest.MonkeyPatch) -> AIModel:
    """The model that ada asks: its provider is down, and a cheaper one of another provider takes its place."""
    monkeypatch.setattr(cooldown, "_until", {})
    people.model("claude-test", kind="anthropic", dollars_in="1", dollars_out="5", upstream_name=UPSTREAM)
    model = session.query(AIModel).filter_by(name="gpt-test").one()
    model.fallback, model.upstream_name = "claude-test", DOWN
    session.commit()
    return model


def asked_models(provider: ProviderServer) -> list[str]:
    """Who was asked, in which order; each is tried again where it is down."""
    return list(dict.fromkeys(request["body"]["model"] for request in provider.requests))


def call_of(session: Database, stream: Heard) -> Usage:
    session.expire_all()
    return session.get_one(Usage, int(stream.start["call_id"]))


@pytest.mark.databases("sqlite", "postgresql", short="in turns")
@pytest.mark.usefixtures("asked")
def test_the_fallback_answers_at_its_own_price(ada: Door, provider: ProviderServer, session: Database) -> None:
    provider.configure(input_tokens=100, tokens=10)
    stream = ada.ask("hello")
    call = call_of(session, stream)

    assert (stream.ended_as, asked_models(provider)) == ("done", [DOWN, UPSTREAM])
    paid = 100 * 1_000 + 10 * 5_000
    assert (call.cost_nanos, call.paid_nanos, stream.end["cost_nanos"]) == (paid, paid, paid)
    assert (call.model, call.answered_model, call.price.model.name) == ("gpt-test", "claude-test", "claude-test")
    message = stream.start["message_id"]
    assert session.get_one(Message, int(message)).model == "claude-test"
    again = heard(ada.call("GET", f"/messages/{message}/stream").data)
    assert stream.end["note"] == again.end["note"] == "gpt-test didn't answer, so claude-test did."
    assert ada.balance()["credits_nanos"] == 1000 * CREDIT - paid
    assert list(audit()) == []
    assert audit_calls().all() == []


def dearer(session: Database, _asked: AIModel) -> None:
    now = utcnow()
    session.add(people.price(AIModel.named("claude-test"), "3", "50", effective_from=now))  # type: ignore[arg-type]


def off_sale(_session: Database, _asked: AIModel) -> None:
    AIModel.named("claude-test").is_for_sale = False  # type: ignore[union-attr]


def none(_session: Database, asked: AIModel) -> None:
    asked.fallback = None


def not_for_the_key(session: Database, _asked: AIModel) -> None:
    session.query(ApiKey).one().models = ["gpt-test"]


def not_in_the_plan(session: Database, _asked: AIModel) -> None:
    session.query(ApiKey).one().account.plan.models = ["gpt-test"]


def to_blame(_session: Database, asked: AIModel) -> None:
    asked.upstream_name = "gpt [[fault:413]]"


def too_late(_session: Database, asked: AIModel) -> None:
    asked.upstream_name = "gpt [[fault:cut after=3]]"


CASES = [dearer, off_sale, none, not_for_the_key, not_in_the_plan, to_blame, too_late]
ANSWERED = {too_late: "gpt [[fault:cut after=3]]"}


@pytest.mark.parametrize("case", CASES)
def test_nobody_else_is_asked(
    ada: Door, asked: AIModel, provider: ProviderServer, session: Database, case: Callable[[Database, AIModel], None]
) -> None:
    case(session, asked)
    session.commit()
    stream = ada.ask("hello")

    assert (stream.ended_as, asked_models(provider)) == ("error", [asked.upstream_name])
    call = call_of(session, stream)
    assert (call.paid_nanos, call.answered_model, call.price.model.name) == (0, ANSWERED.get(case), "gpt-test")


@pytest.mark.parametrize("is_shown", [True, False])
def test_images_are_shown_only_to_who_counts_them_as_the_other_does(
    ada: Door, asked: AIModel, session: Database, is_shown: bool
) -> None:
    AIModel.named("claude-test").takes_images = True  # type: ignore[union-attr]
    session.commit()
    image = PromptImage("image/png", b"", token_bound=10, tokens=10)
    prompt = Prompt("gpt-test", (PromptMessage("user", "Look", (image,) * is_shown),), 100)
    reserved = replace(reservation_of(call_of(session, ada.ask("hello"))), prompt=prompt, ceiling=10**9)
    assert (fallback_of(reserved) is None) == is_shown


@pytest.mark.parametrize("fault", [404, 413])
def test_where_both_fail_nothing_is_charged_and_the_fallback_blames_nobody(
    ada: Door, asked: AIModel, provider: ProviderServer, session: Database, fault: int
) -> None:
    instead = AIModel.named("claude-test")
    instead.upstream_name = f"claude [[fault:{fault}]]"  # type: ignore[union-attr]
    session.commit()
    stream = ada.ask("hello")

    assert (stream.ended_as, asked_models(provider)) == ("error", [DOWN, f"claude [[fault:{fault}]]"])
    assert ("our side" in stream.end["detail"]) == (fault == 413)
    assert call_of(session, stream).paid_nanos == 0
    assert ada.balance()["credits_nanos"] == 1000 * CREDIT


def ask_again(ada: Door, provider: ProviderServer, session: Database, *, is_over: bool = False) -> list[str]:
    """Who is asked by the next question, with the time to be left alone over or not; it is always answered."""
    if is_over:
        cooldown._until["gpt-test"] = 0
    provider.requests.clear()
    call = call_of(session, stream := ada.ask("hello"))
    answered = "claude-test" if call.answered_model == "claude-test" else "gpt-test"
    assert (stream.ended_as, call.price.model.name) == ("done", answered)
    return asked_models(provider)


def test_a_model_that_failed_is_left_alone_until_one_call_finds_it_well(
    ada: Door, asked: AIModel, provider: ProviderServer, session: Database
) -> None:
    assert ask_again(ada, provider, session) == [DOWN, UPSTREAM]
    assert ask_again(ada, provider, session) == [UPSTREAM]
    assert ask_again(ada, provider, session, is_over=True) == [DOWN, UPSTREAM]
    assert ask_again(ada, provider, session) == [UPSTREAM]
    asked.upstream_name = "well"
    session.commit()
    assert ask_again(ada, provider, session, is_over=True) == ["well"]
    assert ask_again(ada, provider, session) == ["well"]


def test_while_one_call_tries_a_model_anew_others_keep_away(asked: AIModel) -> None:
    cooldown._until[asked.name] = 0
    assert [cooldown.is_on(asked.name) for _ in range(2)] == [False, True]


def test_where_the_fallback_refuses_meanwhile_the_model_is_asked_after_all(
    ada: Door, asked: AIModel, provider: ProviderServer, session: Database
) -> None:
    AIModel.named("claude-test").upstream_name = "claude [[fault:413]]"  # type: ignore[union-attr]
    asked.upstream_name = "well"
    session.commit()
    cooldown.begin("gpt-test")
    assert ask_again(ada, provider, session) == ["claude [[fault:413]]", "well"]
    assert ask_again(ada, provider, session) == ["well"]
    assert audit_calls().all() == []
