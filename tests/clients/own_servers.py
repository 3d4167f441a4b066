"""transformers' `serve`, mlx_lm and litgpt as "My own server", each with a tiny model of bytes that is made here."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.metering.usage import Usage
from devserver import processes
from devserver.ports import free_port
from tests.admin.conftest import AdminClient
from tests.chat.conftest import Door
from tests.clients.conftest import Installed
from tests.clients.tools import PROGRAMS, await_server, call_of, put_on_sale
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))
TORCH = "torch==2.13.0"
PACKAGES = {
    "transformers": (TORCH, "transformers[serving]==5.24.0"),
    "mlx": ("mlx-lm==0.32.2", "mlx[cpu]==0.32.4"),
    "litgpt": (TORCH, "litgpt==0.5.13", "litserve==0.2.19", "jinja2"),
}
WINDOW, PER_INPUT, PER_OUTPUT = 512, 1_000, 2_000
UNASKED = 50
"""What litgpt writes where it was not told otherwise by the name that it reads."""


@dataclass(frozen=True)
class Server:
    """A running one: its kind, its address, and what its model is called in a request."""

    kind: str
    url: str
    model: str


@pytest.fixture(scope="session", params=PACKAGES)
def server(
    request: pytest.FixtureRequest, installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    kind, port = request.param, free_port()
    folder = tmp_path_factory.mktemp(kind)
    bin_folder, weights = installed(kind, *PACKAGES[kind]).parent, folder / "tiny"
    maker = [str(bin_folder / "python"), str(PROGRAMS / "tiny_weights.py"), str(weights)]
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    commands = {
        "transformers": [str(bin_folder / "transformers"), "serve", str(weights), "--port", str(port)],
        "mlx": [str(bin_folder / "mlx_lm.server"), "--model", str(weights), "--port", str(port)],
        "litgpt": [maker[0], str(PROGRAMS / "tiny_litgpt.py"), str(weights), str(port)],
    }
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    with log.open("wb") as output:
        if kind != "litgpt":
            processes.start(maker, output=output, environment=offline).wait(120)
        process = processes.start(commands[kind], output=output, environment=offline)
    await_server(f"{url}/health", log)
    names = {"transformers": str(weights), "mlx": "default_model", "litgpt": "tiny"}
    yield Server(kind, url, names[kind])
    processes.stop(process)


@pytest.fixture
def model(server: Server, owner: AdminClient, session: Database) -> AIModel:
    return put_on_sale(owner, session, server.url, server.model, WINDOW)


@pytest.fixture
def ada(model: AIModel, door: Callable[..., Door]) -> Door:
    return door("ada", credits=1000 * CREDIT)


def told(content: str) -> int:
    """The tokens of a question: its bytes in the template."""
    return len(f"user: {content}\nassistant:".encode())


def is_exact(call: Usage) -> bool:
    cost = call.input_tokens * PER_INPUT + call.output * PER_OUTPUT
    return call.cost_nanos == call.paid_nanos == cost <= call.reserved_nanos


@pytest.mark.parametrize("content", ["hello", "Gr\u00fc\u00dfe aus K\u00f6ln, und \u4f60\u597d", "one two three four"])
def test_it_is_charged_by_what_the_server_counts(ada: Door, server: Server, session: Database, content: str) -> None:
    stream = ada.ask(content, model=server.model, max_output_tokens=9)
    call = call_of(session, stream)

    assert stream.ended_as == "done"
    assert is_exact(call)
    if server.kind == "litgpt":
        assert call.source == "estimated"
    else:
        counted = call.source, call.input_tokens, call.output, stream.end["finish_reason"]
        assert counted == ("reported", told(content), 9, "length")


def test_more_than_was_asked_for_is_learned_from(ada: Door, server: Server, model: AIModel, session: Database) -> None:
    """litgpt reads the newer name of the limit alone, and reports nothing: its text is enough."""
    model.provider.limit_name = None
    session.commit()
    first, second = (ada.ask("go", model=server.model, max_output_tokens=3).text for _ in range(2))
    learned = session.query(AIModel).filter_by(name=server.model).one().limit_name

    assert learned == ("both" if server.kind == "litgpt" else None)
    assert len(first) > UNASKED // 2 if server.kind == "litgpt" else len(first) <= 3
    assert len(second) <= 3


def test_a_prompt_beyond_the_window_is_charged_as_it_was_counted_or_not_at_all(
    ada: Door, model: AIModel, session: Database
) -> None:
    """The row says more than the server has: some of them answer nonsense, and count it."""
    session.query(AIModel).filter_by(id=model.id).update({"context_window": 8_192, "max_output_tokens": 16})
    session.commit()
    stream = ada.ask("word " * 300, model=model.name, max_output_tokens=4)
    call = call_of(session, stream)

    assert stream.ended_as in {"done", "error"}
    assert is_exact(call) if stream.ended_as == "done" else call.paid_nanos == 0


@pytest.fixture(autouse=True)
def explained(session: Database) -> Iterator[None]:
    """Whatever happened, every figure adds up."""
    yield
    session.rollback()
    assert list(audit()) == []
    assert audit_calls().all() == []
