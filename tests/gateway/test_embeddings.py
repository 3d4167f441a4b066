"""Embeddings: the vectors come as they were asked for, and cost the tokens of their input."""

import json
import math
import struct
from base64 import b64encode
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.extensions import db
from app.models.identity.account import Account
from tests.gateway.conftest import OPENAI_MODEL, Program
from tests.support import people
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer

EMBEDDER, DEMO = "embed-test", "demo-embedding"
VECTORS = [[0.5, -0.25, 1.0], [0.125, 2.0, -3.0]]
INPUTS: list[Any] = [("one", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)]


def packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def embed(program: Program, given: Any, model: str = EMBEDDER, **fields: Any) -> TestResponse:
    body = {"model": model, "input": given, **fields}
    return program.client.post("/v1/embeddings", json=body, headers=program.headers)


@pytest.fixture
def replying(ada: Program, provider: ProviderServer) -> Callable[..., None]:
    """`replying(vectors, usage)`: what the provider answers from now on."""
    people.model(EMBEDDER, is_embedding=True, dollars_in="100", dollars_out="0", context_window=8192)
    db.session.commit()

    def reply(vectors: list[Any], usage: Any = None) -> None:
        data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
        answer = {"object": "list", "data": data, "model": EMBEDDER, "usage": usage}
        provider.bodies["vectors"] = json.dumps(answer).encode()
        provider.configure(replay="vectors")

    return reply


def test_vectors_come_in_the_encoding_that_was_asked_for(ada: Program, replying: Callable[..., None]) -> None:
    for asked, sent in product((None, "float", "base64"), (list, packed)):
        replying([sent(vector) for vector in VECTORS], {"total_tokens": 9} | ({"prompt_tokens": 9} if asked else {}))
        answer = embed(ada, ["one", "two"], encoding_format=asked, dimensions=3)
        assert answer.status_code == 200, answer.text
        wanted = [packed(vector) for vector in VECTORS] if asked == "base64" else VECTORS
        assert [item["embedding"] for item in answer.json["data"]] == wanted
        usage, receipt = answer.json["usage"], ada.receipt(answer)
        assert usage["prompt_tokens"] == usage["total_tokens"] == receipt["input_tokens"] == 9
        assert usage["cost_nanos"] == receipt["cost_nanos"] == 900_000
        assert [receipt[name] for name in ("operation", "source", "output_tokens")] == ["gateway", "reported", 0]


def test_without_usage_tokens_are_counted(ada: Program, replying: Callable[..., None]) -> None:
    for given, count in INPUTS:
        replying(VECTORS[:count])
        answer = embed(ada, given)
        assert answer.status_code == 200, answer.text
        assert ada.receipt(answer)["source"] == "estimated"
        assert answer.json["usage"]["prompt_tokens"] >= count


NO_VECTORS: list[list[Any]] = [
    [], VECTORS, ["no base64"], [packed([1.0])[:-2]], [[]], [["1"]], [[1e39]], [None], [packed([math.nan])],
]  # fmt: skip


def test_vectors_that_are_none_cost_nothing(ada: Program, replying: Callable[..., None]) -> None:
    for vectors in NO_VECTORS:
        replying(vectors, {"prompt_tokens": 9, "total_tokens": 9})
        answer = embed(ada, "one")
        assert (answer.status_code, answer.json["error"]["code"]) == (502, "provider_error"), answer.text
    assert ada.get("/api/balance").json["credits_nanos"] == 1000 * CREDIT


BAD: dict[str, list[Any]] = {
    "input": [
        None,
        "",
        [],
        [""],
        [1, "a"],
        [[]],
        [[1], []],
        {"a": 1},
        [{"a": 1}],
        [{"tools": 1}],
        [True],
        [-1],
        [1.5],
        ["a"] * 2049,
    ],
    "encoding_format": ["hex", 1],
    "dimensions": [0, -1, True, "3", 10**6],
    "model": ["", 3, OPENAI_MODEL],
}


def test_what_cannot_be_embedded_is_refused_by_name(
    ada: Program, replying: Callable[..., None], provider: ProviderServer
) -> None:
    for field, value in [(field, value) for field, values in BAD.items() for value in values]:
        body = {"model": EMBEDDER, "input": "one"} | {field: value}
        answer = ada.client.post("/v1/embeddings", json=body, headers=ada.headers)
        assert (answer.status_code, answer.json["error"]["param"]) == (400, field), answer.text
    assert embed(ada, "one", service_tier="flex").json["error"]["code"] == "field_not_priced"
    assert ada.call("chat", model=EMBEDDER).json["error"]["param"] == "model"
    assert provider.count == 0


def test_what_the_balance_cannot_pay_is_refused(ada: Program, replying: Callable[..., None]) -> None:
    account = db.session.query(Account).order_by(Account.id.desc()).first()
    people.give(account, credits=1 - account.credits_nanos)
    db.session.commit()
    answer = embed(ada, ["word " * 400] * 200)
    assert (answer.status_code, answer.json["error"]["code"]) == (402, "request_too_large"), answer.text
    assert "model" not in answer.json["error"]


def test_the_demo_embedder_puts_like_beside_like(ada: Program) -> None:
    texts = ["the invoice of March", "invoices for March", "a cat on a sofa"]
    answer = embed(ada, texts, DEMO)
    first, second, third = (item["embedding"] for item in answer.json["data"])
    assert len(first) == 256
    assert near(first, first) == pytest.approx(1)
    assert near(first, second) > near(first, third) + 0.2
    assert len(embed(ada, [5, 6], DEMO, dimensions=64).json["data"][0]["embedding"]) == 64
    assert ada.receipt(answer)["cost_nanos"] == answer.json["usage"]["cost_nanos"] > 0
    assert DEMO in [model["id"] for model in ada.get("/v1/models").json["data"]]
    assert DEMO not in ada.get("/api/models").text


def near(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))
