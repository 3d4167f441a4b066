"""What every client of the gateway is tested with: a running app, a provider that asks for tools, a key, and Node."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.usage import Usage
from devserver import processes
from devserver.ports import free_port
from devserver.procfile import PROJECT
from tests.admin.conftest import AdminClient
from tests.support import Database, people
from tests.support.people import CREDIT, Heard
from tests.support.pictures import png
from tests.support.running_app import RunningApp

PROGRAMS = Path(__file__).parent / "programs"
OPENAI_MODEL, ANTHROPIC_MODEL, EMBEDDER = "gpt-4o-mini", "claude-sonnet-4-5", "demo-embedding"
MODELS = (OPENAI_MODEL, ANTHROPIC_MODEL)
HELLO, SUNNY = "Hello from the agent.", "The tool said: Rome is sunny"
MADE = "made by a tool"
OLDEST_NODE, PATIENCE = 20, 120


@dataclass
class Gateway:
    """The app as a client sees it: an address and a key."""

    url: str
    key: str
    folder: Path
    session: Database

    def environment(self, model: str, **more: str) -> dict[str, str]:
        """The two variables of each vendor's clients, and which model the program is to ask."""
        own = {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": self.key}
        own |= {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": self.key}
        asked = {"MODEL": model, "EMBEDDER": EMBEDDER, "PNG": png(8, 8).hex()}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {"HOME": str(self.folder)} | own | asked | more

    def run(self, command: Sequence[str | Path], model: str, **more: str) -> str:
        """What a client wrote; it must end well."""
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment(model, **more),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def told(self, command: Sequence[str | Path], model: str, **more: str) -> dict[str, Any]:
        """What a program told, a JSON object a line."""
        answers: dict[str, Any] = {}
        for line in self.run(command, model, **more).splitlines():
            if line.startswith("{"):
                answers |= json.loads(line)
        return answers

    def calls(self, operation: str = "gateway") -> list[Usage]:
        self.session.rollback()
        return self.session.query(Usage).filter_by(operation=operation).order_by(Usage.id).all()


@pytest.fixture(scope="session")
def agent() -> Iterator[str]:
    """The address of the provider that asks for tools."""
    port = free_port()
    process = processes.start([sys.executable, str(PROGRAMS / "agent.py"), str(port)])
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 30
    while not is_there(url):
        assert time.monotonic() < deadline, "the agent does not answer"
        time.sleep(0.1)
    yield url
    processes.stop(process)


def await_server(address: str, log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_there(address):
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)


def put_on_sale(owner: AdminClient, session: Database, url: str, name: str, window: int) -> AIModel:
    """A model of "My own server": the row that is there gets its address, then a model and a price are typed."""
    row = session.query(ProviderAccount).filter_by(name="My own server").one()
    assert owner.fill(f"/admin/provider/edit/?id={row.id}", base_url=f"{url}/v1").status_code == 302
    sizes = {"context_window": str(window), "max_output_tokens": "400"}
    typed = {"name": name, "title": "Tiny", "provider_id": str(row.id), "is_for_sale": "y", **sizes}
    assert owner.fill("/admin/model/new/", **typed).status_code == 302
    model = session.query(AIModel).filter_by(name=name).one()
    prices = dict.fromkeys(("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h"), "1")
    dollars = {f"{bucket}_nanos": price for bucket, price in prices.items()} | {"output_nanos": "2"}
    assert owner.fill("/admin/price/new/", model_id=str(model.id), **dollars).status_code == 302
    return model


def call_of(session: Database, stream: Heard) -> Usage:
    session.expire_all()
    return session.get_one(Usage, int(stream.start["call_id"]))


def is_there(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def gateway(agent: str, start_app: Callable[..., RunningApp], session: Database, tmp_path: Path) -> Iterator[Gateway]:
    """ada's address and key, with a model of each vendor; afterwards every figure adds up."""
    for name, kind in zip(MODELS, ("openai", "anthropic"), strict=True):
        listed = people.AIModel.named(name)
        if listed is not None:
            listed.name = f"listed-{name}"
            session.flush()
        people.model(name, kind=kind, takes_images=True)
    key = people.api_key(people.person("ada", credits=100_000 * CREDIT))
    at = {"OPENAI_BASE_URL": f"{agent}/v1", "ANTHROPIC_BASE_URL": agent}
    web = start_app("web", OPENAI_API_KEY="sk-agent", ANTHROPIC_API_KEY="sk-agent", **at)
    folder = tmp_path / "home"
    folder.mkdir()
    made = Gateway(web.url, key, folder, session)
    yield made
    settled = [call for call in made.calls() if call.state == "settled"]
    assert settled
    assert all(0 < call.paid_nanos <= call.reserved_nanos for call in settled)
    assert list(audit()) == []
    assert audit_calls().all() == []


@pytest.fixture(scope="session")
def with_node() -> Callable[..., Path]:
    """`with_node("openai", "openai@7.55.0")`: a folder whose `node_modules` has these packages."""

    def of(name: str, *packages: str) -> Path:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None or version_of(node) < OLDEST_NODE:
            pytest.skip(f"not run: {', '.join(packages)} needs Node {OLDEST_NODE} and npm")
        folder, wanted = PROJECT / "instance" / "clients" / name, "\n".join(packages)
        note = folder / "packages"
        if not note.exists() or note.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"private": true}')
            install = [npm, "install", "--no-audit", "--no-fund", "--loglevel", "error", *packages]
            if subprocess.run(install, cwd=folder, check=False).returncode:
                pytest.skip(f"not run: {', '.join(packages)} cannot be installed here")
            note.write_text(wanted)
        return folder

    return of


def version_of(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.lstrip("v").partition(".")[0])


def in_folder(folder: Path, program: str) -> Path:
    """A copy of the program where Node finds the packages of that folder."""
    return Path(shutil.copy(PROGRAMS / program, folder / program))
