"""What the user pays for each way that a call can end. billing-rules.md 5, the second table."""

import threading
import time
from collections.abc import Callable

import pytest
from flask import current_app
from sqlalchemy import select

from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.chat.chat import Message
from app.models.metering.usage import Usage
from app.providers.base import TokenUsage
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import CREDIT, Heard
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture
def receipt(session: Database) -> Callable[[Heard], Usage]:
    """The usage row of a stream, once it is closed; the books must be in order by then."""

    def of(stream: Heard) -> Usage:
        session.expire_all()
        usage = session.get_one(Usage, int(stream.start["call_id"]))
        assert list(audit()) == []
        assert usage.cost_nanos == usage.paid_nanos + usage.absorbed_nanos
        return usage

    return of


def test_a_finished_answer_costs_what_was_reported(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    for finish in ("stop", "length", "filter", "refusal"):
        provider.configure(finish=finish, input_tokens=500, tokens=500)
        usage = receipt(ada.ask("go on"))

        assert (usage.source, usage.outcome, usage.uncached_input, usage.output) == ("reported", "done", 500, 500)
        assert usage.credits_paid_nanos == 6_250_000, finish


def test_cached_input_is_charged_at_its_own_price(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    provider.configure(input_tokens=500, cached=400)
    usage = receipt(ada.ask("again"))
    assert (usage.uncached_input, usage.cache_read) == (100, 400)


def test_what_is_not_reported_is_counted_here_and_marked(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    """An input that was all read from the cache is reported."""
    for shape, source, tokens in (
        ("missing", "estimated", (1, 0, 3)),
        ("no_input", "estimated", (1, 0, 3)),
        ("no_output", "estimated", (9, 0, 3)),
        ("normal", "reported", (0, 9, 3)),
    ):
        cached = 9 if shape == "normal" else 0
        provider.configure(usage=shape, text="12345678é", input_tokens=9, cached=cached)
        stream = ada.ask("1234")
        usage = receipt(stream)

        assert (shape, usage.source, (usage.uncached_input, usage.cache_read, usage.output)) == (shape, source, tokens)
        assert stream.end["estimated"] is (source == "estimated")
        assert usage.paid_nanos == usage.rates.cost_of(TokenUsage(*tokens[:2], output=tokens[2])) > 0


def test_a_provider_error_costs_the_user_nothing(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    for fault in ("500", "401", "drop", "error_event", "cut"):
        provider.configure(fault=fault)
        stream = ada.ask("hello")
        usage = receipt(stream)

        assert (stream.ended_as, stream.end["code"], stream.end["cost_nanos"]) == ("error", "provider_error", 0), fault
        assert (usage.state, usage.outcome, usage.paid_nanos) == ("released", "failed", 0), fault


def test_what_a_broken_answer_cost_us_is_absorbed_and_its_text_kept(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage], session: Database
) -> None:
    provider.configure(fault="cut", after=3)
    stream = ada.ask("hello")
    usage = receipt(stream)

    assert usage.absorbed_nanos > 0
    message = session.get_one(Message, int(stream.start["message_id"]))
    assert (message.status, message.content) == ("failed", stream.text)
    assert stream.text


def test_an_answer_without_a_single_token_costs_nothing(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    provider.configure(fault="empty", tokens=0, input_tokens=100)
    usage = receipt(ada.ask("hello"))
    assert (usage.outcome, usage.paid_nanos, usage.output) == ("done", 0, 0)


def test_what_a_call_costs_above_its_ceiling_is_ours(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    provider.configure(input_tokens=1_000_000)
    stream = ada.ask("hello")
    usage = receipt(stream)

    assert usage.paid_nanos == stream.start["ceiling_nanos"] == usage.reserved_nanos
    assert usage.absorbed_nanos == usage.cost_nanos - usage.reserved_nanos > 0


def test_no_shape_of_usage_charges_above_the_ceiling_or_below_zero(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    for shape in ("absurd", "negative", "null", "twice"):
        provider.configure(usage=shape)
        usage = receipt(ada.ask("hello"))
        assert 0 <= usage.paid_nanos <= usage.reserved_nanos, shape


def test_a_reader_who_leaves_pays_the_same_and_finds_the_whole_answer(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage], session: Database
) -> None:
    provider.configure(delay=0.02, tokens=20, input_tokens=500)
    chat = ada.new_chat()
    response = ada.send("hello", chat=chat, buffered=False)
    next(iter(response.response))
    response.close()
    message = await_end(session)

    assert (message.status, message.content.count(" ")) == ("done", 20)
    assert message.call.paid_nanos == 500 * 2500 + 20 * 10_000


def test_stop_charges_what_was_made_until_then(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage], session: Database
) -> None:
    provider.configure(delay=0.05, tokens=200)
    stream = stopped_after(ada, session, seconds=0.5)
    usage = receipt(stream)

    assert (stream.ended_as, stream.end["code"], usage.outcome, usage.source) == (
        "error",
        "stopped",
        "stopped",
        "estimated",
    )
    assert 0 < usage.output < 60
    assert stream.end["cost_nanos"] == usage.paid_nanos > 0


def test_stop_on_a_reasoning_model_hides_the_rest_and_pays_as_reported(
    ada: Door, provider: ProviderServer, receipt: Callable[[Heard], Usage], session: Database
) -> None:
    session.query(AIModel).filter_by(name="gpt-test").update({"is_reasoning": True})
    session.commit()
    provider.configure(delay=0.05, tokens=60, input_tokens=10)
    stream = stopped_after(ada, session, seconds=0.5)
    usage = receipt(stream)

    assert (usage.source, usage.output, usage.outcome) == ("reported", 60, "stopped")
    assert stream.text.count(" ") < 50


def test_debt_from_spending_never_passes_the_overdraft(
    door: Callable[..., Door], provider: ProviderServer, receipt: Callable[[Heard], Usage]
) -> None:
    bob = door("bob", credits=1)
    provider.configure(input_tokens=1_000_000)
    usage = receipt(bob.ask("hello"))
    assert 0 < usage.credits_paid_nanos <= 1 + 50 * CREDIT


def stopped_after(person: Door, session: Database, *, seconds: float) -> Heard:
    """The stream of an answer that is stopped through the API while it runs."""

    def stop() -> None:
        await_that(lambda: running(session) is not None, 20)
        time.sleep(seconds)
        person.call("POST", f"/messages/{running(session)}/stop")

    chat = person.new_chat()
    stopper = threading.Thread(target=in_context(session, stop))
    stopper.start()
    stream = person.ask("hello", chat=chat)
    stopper.join()
    return stream


def running(session: Database) -> int | None:
    session.rollback()
    return session.scalar(select(Message.id).where(Message.status == "running"))


def in_context(session: Database, work: Callable[[], None]) -> Callable[[], None]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def run() -> None:
        with app.app_context():
            work()

    return run


def await_end(session: Database) -> Message:
    """The one answer, once it has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        session.rollback()
        message = session.query(Message).filter_by(role="assistant").one()
        if not message.is_running:
            return message
        time.sleep(0.05)
    raise AssertionError("the answer did not end")
