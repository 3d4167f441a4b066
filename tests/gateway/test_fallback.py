"""A program's request, answered by the fallback of the model that it names: in any format, and said truthfully."""

from collections.abc import Callable
from typing import Any

import pytest

from app.gateway.calls import BROKE_OFF
from app.generation import cooldown
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.identity.api_key import ApiKey
from tests.gateway.conftest import OPENAI_MODEL, Program, events_of
from tests.support import Database, people
from tests.support.provider_server import ProviderServer

DOWN, CHEAPER = "down [[fault:401]]", "cheaper"


@pytest.fixture
def asked(ada: Program, session: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AIModel]:
    """`asked("anthropic")`: a model that is down, with a cheaper one of a provider of that kind for its place."""

    def make(kind: str = "openai", **fields: Any) -> AIModel:
        monkeypatch.setattr(cooldown, "_until", {})
        people.model(CHEAPER, kind=kind, **({"dollars_in": "1", "dollars_out": "5"} | fields))
        model = AIModel.named(OPENAI_MODEL)
        assert model is not None
        model.upstream_name, model.fallback = DOWN, CHEAPER
        session.commit()
        return model

    return make


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_it_answers_in_every_format_at_its_own_price_and_name(
    ada: Program, asked: Callable[..., AIModel], provider: ProviderServer, kind: str
) -> None:
    asked(kind)
    provider.configure(input_tokens=100, tokens=10)
    for dialect in ("chat", "responses", "messages"):
        whole, stream = ada.call(dialect), ada.call(dialect, stream=True)
        first = events_of(stream)[0]
        named = first.get("response") or first.get("message") or first
        assert (whole.json["model"], named["model"]) == (CHEAPER, CHEAPER), whole.text
        for receipt in (ada.receipt(whole), ada.receipt(stream)):
            assert receipt["cost_nanos"] == 100 * 1_000 + 10 * 5_000
            assert (receipt["model"], receipt["answered_model"]) == (OPENAI_MODEL, CHEAPER)
    assert audit_calls().all() == []


@pytest.mark.parametrize(("limit", "added"), [(2_000, 0), (2_000, 1_000), (100, 0)])
def test_one_of_the_same_price_answers_whatever_its_form_adds(
    ada: Program, asked: Callable[..., AIModel], provider: ProviderServer, limit: int, added: int
) -> None:
    asked("anthropic", dollars_in="2.5", dollars_out="10", extra_input_tokens=added)
    provider.configure(input_tokens=100, tokens=10)
    answer = ada.call("chat", max_tokens=limit)
    receipt = ada.receipt(answer)
    most = int(answer.headers["X-Max-Output-Tokens"])
    assert (answer.json["model"], provider.last["body"]["max_tokens"]) == (CHEAPER, most)
    assert limit - added // 4 - 20 < most < limit
    assert receipt["cost_nanos"] == 100 * 2_500 + 10 * 10_000


def closed_to_it(session: Database, _model: AIModel) -> dict[str, Any]:
    session.query(ApiKey).one().models = [OPENAI_MODEL]
    return {}


def dearer_than_reserved(session: Database, _model: AIModel) -> dict[str, Any]:
    session.add(people.price(AIModel.named(CHEAPER), "3", "50", effective_from=people.utcnow()))  # type: ignore[arg-type]
    return {}


def of_no_counterpart(_session: Database, _model: AIModel) -> dict[str, Any]:
    return {"logprobs": True}


def too_long_for_it(_session: Database, _model: AIModel) -> dict[str, Any]:
    AIModel.named(CHEAPER).context_window = 400  # type: ignore[union-attr]
    return {"max_tokens": 300, "text": "word " * 200}


def begun_already(_session: Database, model: AIModel) -> dict[str, Any]:
    model.upstream_name = "down [[fault:cut after=3]]"
    return {}


CASES = [closed_to_it, dearer_than_reserved, of_no_counterpart, too_long_for_it, begun_already]


@pytest.mark.parametrize("case", CASES)
def test_nobody_else_is_asked(
    ada: Program,
    asked: Callable[..., AIModel],
    provider: ProviderServer,
    session: Database,
    case: Callable[[Database, AIModel], dict[str, Any]],
) -> None:
    model = asked("anthropic")
    fields = case(session, model)
    session.commit()
    answer = ada.call("chat", fields.pop("text", "hello"), **fields)
    assert (answer.status_code, answer.json["error"]["code"]) == (502, "provider_error")
    assert BROKE_OFF not in answer.text
    assert {request["body"]["model"] for request in provider.requests} == {model.upstream_name}


def test_vectors_are_of_one_model(
    ada: Program, asked: Callable[..., AIModel], session: Database, caplog: pytest.LogCaptureFixture
) -> None:
    asked().is_embedding = True
    session.commit()
    answer = ada.post("/v1/embeddings", {"model": OPENAI_MODEL, "input": "hello"})
    assert (answer.status_code, caplog.text.count("provider failed")) == (502, 1)


def test_a_request_that_only_the_fallback_refuses_may_be_sent_again(
    ada: Program, asked: Callable[..., AIModel], session: Database
) -> None:
    asked(upstream_name="cheaper [[fault:413]]")
    answer = ada.call("chat")
    assert (answer.status_code, answer.headers["X-Should-Retry"]) == (502, "true")
