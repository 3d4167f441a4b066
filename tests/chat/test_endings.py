"""How answers end and what is sent afterwards: the reason is told, and what was refused does not come again."""

import json
from collections.abc import Callable

import pytest

from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT, Heard
from tests.support.provider_server import ProviderServer


def sent(provider: ProviderServer) -> list[tuple[str, str]]:
    return [(said["role"], said["content"]) for said in provider.last["body"]["messages"]]


def call_of(session: Database, stream: Heard) -> Usage:
    session.expire_all()
    return session.get_one(Usage, int(stream.start["call_id"]))


@pytest.mark.parametrize("finish", ["stop", "length", "filter", "refusal"])
def test_why_it_ended_is_part_of_the_answer(
    ada: Door, provider: ProviderServer, session: Database, finish: str
) -> None:
    provider.configure(finish=finish)
    stream = ada.ask("hello")
    receipt = ada.call("GET", f"/usage/calls/{stream.start['call_id']}").json

    assert stream.end["finish_reason"] == receipt["finish_reason"] == finish
    assert (stream.end["note"] is None) == (finish == "stop")
    assert stream.end["can_go_on"] == (finish == "length")


def test_an_answer_without_a_word_says_so(ada: Door, provider: ProviderServer) -> None:
    provider.configure(text=" \n")
    assert "empty" in ada.ask("hello").end["note"]


def test_an_answer_that_was_thought_away_is_charged_and_says_so(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    details = '"completion_tokens_details":{"reasoning_tokens":256}'
    usage = f'{{"prompt_tokens":20,"completion_tokens":256,"total_tokens":276,{details}}}'
    provider.bodies["thought"] = (
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n'
        + f'data: {{"choices":[],"usage":{usage}}}\n\ndata: [DONE]\n\n'.encode()
    )
    stream = ada.ask("[[replay=thought]] please, at length")

    assert (stream.text, stream.end["finish_reason"], stream.end["output_tokens"]) == ("", "length", 256)
    assert "thinking" in stream.end["note"]
    assert stream.end["can_go_on"] is False
    assert call_of(session, stream).paid_nanos == 20 * 2500 + 256 * 10_000


@pytest.mark.parametrize("reason", [{"fault": "400"}, {"finish": "filter", "tokens": 2}])
def test_a_question_that_was_refused_is_not_sent_again(
    ada: Door, provider: ProviderServer, reason: dict[str, object]
) -> None:
    chat = ada.new_chat()
    ada.ask("first", chat=chat)
    provider.configure(**reason)
    ada.ask("something it refuses", chat=chat)
    provider.reset()
    stream = ada.ask("last", chat=chat)

    assert stream.ended_as == "done"
    assert [text for _role, text in sent(provider)][::2] == ["first", "last"]


def test_a_question_without_an_answer_goes_with_the_next(ada: Door, provider: ProviderServer) -> None:
    chat = ada.new_chat()
    provider.configure(fault="401")
    ada.ask("first", chat=chat)
    provider.reset()
    ada.ask("second", chat=chat)

    assert sent(provider) == [("user", "first\n\nsecond")]


def test_thinking_written_as_text_is_counted_and_not_sent_again(ada: Door, provider: ProviderServer) -> None:
    chat = ada.new_chat()
    provider.configure(text="<think>\nHm, greetings.\n</think>\n\nHello!")
    first = ada.ask("hi", chat=chat)
    provider.reset()
    ada.ask("again", chat=chat)

    assert first.end["output_tokens"] > 8
    assert sent(provider) == [("user", "hi"), ("assistant", "Hello!"), ("user", "again")]


def test_the_first_message_is_the_user_s_whatever_is_left_out(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    """A window of 8,000 tokens, messages of some 3,000 each way: at every length of the chat."""
    model = session.query(AIModel).filter_by(name="gpt-test").one()
    model.context_window, model.max_output_tokens = 8_000, 1_000
    session.commit()
    chat = ada.new_chat()
    left_out = []
    for number in range(8):
        provider.configure(text="so it is. " * (100 + 200 * (number % 3)))
        stream = ada.ask(f"{number} " + "and then? " * 250, chat=chat, max_output_tokens=500)
        left_out.append(stream.start["left_out"])
        roles = [role for role, _text in sent(provider)]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]

    assert left_out[0] == 0 < left_out[-1]
    told = ada.call("POST", "/estimate", json={"chat_id": chat, "model": "gpt-test", "content": "and?"}).json
    assert told["left_out"] > 0
    assert call_of(session, stream).left_out == left_out[-1]


@pytest.mark.parametrize("text", ["many words of English, " * 6_400, "中文字数" * 10_400])
def test_a_message_that_fits_by_count_is_sent(
    door: Callable[..., Door], provider: ProviderServer, session: Database, text: str
) -> None:
    """Some 147,000 bytes of English, and 124,800 of Chinese, to a model of 128,000 tokens."""
    rich = door("rich", credits=10_000 * CREDIT)
    session.query(AIModel).filter_by(name="gpt-test").one().context_window = 128_000
    session.commit()
    stream = rich.ask(text)

    assert stream.ended_as == "done"
    assert len(sent(provider)[0][1]) == len(text)
    assert call_of(session, stream).reserved_nanos > len(text.encode()) * 2500


def test_after_a_refusal_the_bound_decides_what_fits(ada: Door, provider: ProviderServer, session: Database) -> None:
    """The vendor has the last word: where it said that the chat is too long, less is sent from then on."""
    model = session.query(AIModel).filter_by(name="gpt-test").one()
    model.context_window, model.max_output_tokens = 6_000, 500
    session.commit()
    chat = ada.new_chat()
    for _ in range(2):
        ada.ask("words and words " * 250, chat=chat)
    provider.configure(fault="400")
    ada.ask("too much", chat=chat)
    provider.reset()
    stream = ada.ask("and now?", chat=chat)

    assert stream.start["left_out"] > 0
    assert sum(len(text) for _role, text in sent(provider)) < 6_000


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        ({"fault": "400"}, True),
        ({"fault": "empty", "tokens": 0, "input_tokens": 100}, True),
        ({"fault": "cut", "after": 3}, False),
        ({"fault": "error_event", "after": 3}, False),
        ({"input_tokens": 1_000_000}, False),
    ],
)
def test_only_what_the_sender_can_cause_counts_towards_the_day_s_bound(
    ada: Door, provider: ProviderServer, session: Database, reason: dict[str, object], counts: bool
) -> None:
    provider.configure(**reason)
    stream = ada.ask("hello")
    call = call_of(session, stream)
    absorbed = session.get_one(Account, call.account_id).day_absorbed_nanos

    assert (absorbed > 0) == (counts and call.absorbed_nanos > 0)
    assert call.absorbed_nanos > 0 or reason == {"fault": "400"}


def test_more_output_than_asked_teaches_the_limit_s_other_name(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    provider.bodies["deaf"] = (
        b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":50,"total_tokens":59}}\n\ndata: [DONE]\n\n'
    )
    ada.ask("[[replay=deaf]] six words", max_output_tokens=6)
    session.expire_all()
    learned = session.query(AIModel).filter_by(name="gpt-test").one().limit_name
    ada.ask("again", max_output_tokens=6)

    assert learned == "both"
    assert provider.last["body"]["max_tokens"] == provider.last["body"]["max_completion_tokens"] == 6


def test_where_nothing_is_reported_a_text_far_above_the_limit_teaches_too(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    choice = {"index": 0, "delta": {"content": "word " * 50}, "finish_reason": "stop"}
    provider.bodies["deaf"] = f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()
    ada.ask("[[replay=deaf]] fifty words", max_output_tokens=40)
    unlearned = session.query(AIModel).filter_by(name="gpt-test").one().limit_name
    ada.ask("[[replay=deaf]] six words", max_output_tokens=6)
    session.expire_all()

    assert (unlearned, session.query(AIModel).filter_by(name="gpt-test").one().limit_name) == (None, "both")


def test_what_the_host_adds_is_reserved_from_the_next_call_on(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    provider.configure(input_tokens=700)
    first = ada.ask("hello")
    second = ada.ask("hello")

    assert second.start["ceiling_nanos"] - first.start["ceiling_nanos"] == (700 - 5 - 32) * 2500
    assert session.query(AIModel).filter_by(name="gpt-test").one().extra_input_tokens == 700 - 5 - 32


def answered_by(name: str, tier: str | None = "flex", **usage: object) -> bytes:
    """A whole stream in which that model answered, at that tier."""
    report = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110} | usage
    choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    event = {"model": name, "service_tier": tier, "choices": [choice], "usage": report}
    return f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()


QUESTION = "[[replay=fallback]]" + " and a hundred bytes more" * 5


@pytest.mark.parametrize(
    ("name", "paid"),
    [
        ("gpt-dear", 100 * 20_000 + 10 * 40_000),
        ("openai/gpt-dear-2026-02-01", 100 * 20_000 + 10 * 40_000),
        ("gpt-dear:nitro", 100 * 20_000 + 10 * 40_000),
        ("gpt-test-2026-01-01", 350_000),
        ("router/gpt-test:free", 350_000),
        ("elsewhere/other", 350_000),
    ],
)
def test_a_call_is_priced_by_the_model_that_answered(
    ada: Door, provider: ProviderServer, session: Database, name: str, paid: int
) -> None:
    people.model("gpt-dear", dollars_in="20", dollars_out="40")
    session.commit()
    provider.bodies["fallback"] = answered_by(name)
    stream = ada.ask(QUESTION)
    call = call_of(session, stream)

    assert (call.model, call.answered_model, call.service_tier) == ("gpt-test", name, "flex")
    assert call.cost_nanos == call.paid_nanos + call.absorbed_nanos == paid
    assert call.paid_nanos <= call.reserved_nanos
    assert ada.call("GET", f"/usage/calls/{call.id}").json["answered_model"] == name
    assert list(audit()) == []


def test_what_was_billed_is_kept_as_evidence(ada: Door, provider: ProviderServer, session: Database) -> None:
    provider.bodies["fallback"] = answered_by("gpt-test", cost=0.00125, num_search_queries=3)
    call = call_of(session, ada.ask(QUESTION))

    assert (call.billed_nanos, call.unpriced_pieces, call.searches) == (1_250_000, 3, 0)
    assert call.paid_nanos == 350_000
