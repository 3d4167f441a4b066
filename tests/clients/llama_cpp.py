"""llama.cpp's server as "My own server": set up in the admin, asked, stopped, charged to the token."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.usage import Usage
from devserver import processes
from devserver.ports import free_port
from tests.admin.conftest import AdminClient
from tests.chat.conftest import Door
from tests.clients.conftest import Installed
from tests.clients.tools import await_server, call_of, put_on_sale
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql")
PACKAGES = ("xllamacpp==2026.10.11549", "gguf==0.19.0")
PROGRAM = Path(__file__).parent / "programs" / "tiny_llama.py"
WINDOW = 512
PER_INPUT, PER_OUTPUT = 1_000, 2_000


@pytest.fixture(scope="session")
def llama(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address."""
    folder, port = tmp_path_factory.mktemp("llama"), free_port()
    python = installed("llama-cpp", *PACKAGES)
    with (folder / "log").open("wb") as log:
        process = processes.start([str(python), str(PROGRAM), str(folder), str(port)], output=log)
    url = f"http://127.0.0.1:{port}"
    await_server(f"{url}/health", folder / "log")
    yield url
    processes.stop(process)


@pytest.fixture
def tiny(llama: str, owner: AdminClient, session: Database) -> AIModel:
    return put_on_sale(owner, session, llama, "tiny", WINDOW)


@pytest.fixture
def ada(tiny: AIModel, door: Callable[..., Door]) -> Door:
    return door("ada", credits=1000 * CREDIT)


def buckets(call: Usage) -> tuple[str, int, int]:
    return call.source, call.input_tokens, call.output


def tokens_of(llama: str, text: str) -> int:
    """By the server's own count, with its template."""
    said = {"messages": [{"role": "user", "content": text}]}
    prompt = requests.post(f"{llama}/apply-template", json=said, timeout=10).json()["prompt"]
    return 1 + len(requests.post(f"{llama}/tokenize", json={"content": prompt}, timeout=10).json()["tokens"])


def test_the_admin_tries_a_call(tiny: AIModel, owner: AdminClient) -> None:
    page = owner.post("/admin/provider/try/", id=str(tiny.provider_id))
    assert page.status_code == 302
    assert "Working: tiny answered" in owner.get("/admin/provider/").text


@pytest.mark.parametrize("content", ["hello", "Grüße aus Köln, und 你好", "one two three four five six"])
def test_it_is_charged_to_the_token_that_the_server_counts(
    ada: Door, llama: str, session: Database, content: str
) -> None:
    stream = ada.ask(content, model="tiny", max_output_tokens=7)
    call = call_of(session, stream)

    assert buckets(call) == ("reported", tokens_of(llama, content), 7)
    assert stream.end["finish_reason"] == "length"
    assert call.cost_nanos == call.paid_nanos == call.input_tokens * PER_INPUT + 7 * PER_OUTPUT
    assert call.paid_nanos <= call.reserved_nanos
    assert session.query(AIModel).filter_by(name="tiny").one().limit_name is None


def test_what_was_asked_before_is_read_from_the_cache(ada: Door, session: Database) -> None:
    first, second = (
        call_of(session, ada.ask("the same words again", model="tiny", max_output_tokens=3)) for _ in range(2)
    )

    assert second.cache_read > 0
    assert second.input_tokens == first.input_tokens


def test_stop_is_paid_by_the_server_s_own_count(ada: Door, session: Database) -> None:
    answer = ada.send("count until I stop you", model="tiny", max_output_tokens=400, buffered=False)
    pieces = answer.iter_encoded()
    start = "".join(next(pieces).decode() for _ in range(2))
    match = re.search(r'"message_id":\s*"(\d+)"', start)
    assert match, start
    ada.call("POST", f"/messages/{match[1]}/stop")
    for _piece in pieces:
        pass
    call = session.query(Usage).filter_by(model="tiny").one()

    assert call.outcome in {"stopped", "done"}
    assert call.source == "reported"
    assert 0 < call.output <= 400
    assert call.cost_nanos == call.paid_nanos == call.input_tokens * PER_INPUT + call.output * PER_OUTPUT


def test_what_the_server_cannot_read_is_told_as_too_long(ada: Door, tiny: AIModel, session: Database) -> None:
    """Its window is smaller than what the row says of it."""
    session.query(AIModel).filter_by(name="tiny").update({"context_window": 8_192, "max_output_tokens": 16})
    session.commit()
    stream = ada.ask("word " * 300, model="tiny")

    assert stream.ended_as == "error"
    assert "longer than the model can read" in stream.end["detail"]
    assert call_of(session, stream).paid_nanos == 0


def test_a_server_that_has_gone_costs_nothing(ada: Door, session: Database) -> None:
    row = session.query(ProviderAccount).filter_by(name="My own server").one()
    row.base_url = f"http://127.0.0.1:{free_port()}/v1"
    session.commit()
    stream = ada.ask("hello", model="tiny")

    assert (stream.ended_as, call_of(session, stream).paid_nanos) == ("error", 0)


@pytest.fixture(autouse=True)
def explained(session: Database) -> Iterator[None]:
    """Whatever happened, every figure adds up."""
    yield
    session.rollback()
    assert list(audit()) == []
    assert audit_calls().all() == []
