"""`flask prices check`: newer data and a second list against ours; both figures are shown, and nothing is changed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import time_machine
from click.testing import Result
from flask import Flask
from genai_prices.data_snapshot import get_snapshot
from sqlalchemy import select

from app.generation.model_jobs import check_prices
from app.models.catalog.ai_model import AIModel
from app.models.catalog.catalog_proposal import CatalogProposal
from app.models.catalog.price import ModelPrice
from app.models.operations.outbox import OutgoingMail
from tests.support import Database

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SOLD = {"gpt-4o", "gpt-4.1", "gpt-4o-mini"}


@pytest.fixture(autouse=True)
def three_on_sale(app: Flask, session: Database):
    session.query(AIModel).filter(AIModel.name.not_in(SOLD)).update({"is_for_sale": False})
    session.query(AIModel).filter(AIModel.name.in_(SOLD)).update({"sold_until": None})
    session.commit()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def check(app: Flask) -> Callable[..., Result]:
    return lambda *arguments: app.test_cli_runner().invoke(args=["prices", "check", *map(str, arguments)])


def entry(name: str, **changes: Any) -> dict[str, Any]:
    known = next(m for p in get_snapshot().providers if p.id == "openai" for m in p.models if m.id == name)
    price = {key: str(value) for key, value in vars(known.prices).items() if value is not None}
    price = {key: value for key, value in price.items() if key.endswith(("_mtok", "_kcount"))}
    return {"id": name, "match": {"equals": name}, "context_window": None, "prices": price} | changes


def data(tmp_path: Path, *models: dict[str, Any]) -> Path:
    """genai-prices' newest data, of one vendor."""
    file = tmp_path / "data.json"
    openai = {"id": "openai", "name": "OpenAI", "api_pattern": "https://api", "models": list(models)}
    file.write_text(json.dumps([openai]))
    return file


def as_they_are() -> list[dict[str, Any]]:
    return [entry(name) for name in sorted(SOLD)]


def test_where_nothing_differs_it_says_so(check: Callable[..., Result], tmp_path: Path) -> None:
    done = check("--data", data(tmp_path, *as_they_are()))

    assert (done.exit_code, done.stdout) == (0, "0 differences; nothing was changed.\n")


def test_price_window_end_and_new_model_are_shown_with_both_figures(
    check: Callable[..., Result], tmp_path: Path, session: Database
) -> None:
    approved = select(ModelPrice.__table__).where(ModelPrice.approved_at.is_not(None))
    before = [tuple(row) for row in session.execute(approved)]
    mini, large, four = (
        as_they_are()[2],
        entry("gpt-4.1", context_window=2_000_000),
        entry("gpt-4o", deprecated=True),
    )
    mini["prices"] |= {"output_mtok": "0.9"}
    newest = entry("gpt-4o", id="gpt-7-sol")
    file = data(tmp_path, mini, large, four, newest)
    done = check("--data", file)
    session.expire_all()

    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"gpt-4o-mini: output from 2026-11-28 $0.600000000 -> $0.900000000 (genai-prices, {file})",
        f"gpt-4.1: context window 1,047,576 -> 2,000,000 (genai-prices, {file})",
        f"gpt-4o: last day none -> retired by its vendor (genai-prices, {file})",
        f"gpt-7-sol: model of OpenAI not there -> new (genai-prices, {file})",
        "4 differences; nothing was changed.",
    ]
    assert [tuple(row) for row in session.execute(approved)] == before
    assert [row.field for row in CatalogProposal.waiting()] == ["context_window", "sold_until", "model"]
    assert get_snapshot().providers[0].id != "openai"


def test_a_model_that_the_newest_data_lack_is_named(check: Callable[..., Result], tmp_path: Path) -> None:
    done = check("--data", data(tmp_path, *as_they_are()[:2]))

    assert "gpt-4o-mini: price on the list -> none anymore" in done.stdout


def test_a_second_list_is_read_in_its_own_form(check: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "second.json"
    row = {
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1.2e-05,
        "cache_read_input_token_cost": 1.25e-06,
    }
    limits = {"max_input_tokens": 128_000, "max_output_tokens": 32_768, "deprecation_date": "2027-01-14"}
    file.write_text(json.dumps({"gpt-4o": row | limits, "nobody": {}}))
    done = check("--second", file)

    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"gpt-4o: output $10.000000000 -> $12.000000000 ({file})",
        f"gpt-4o: max output tokens 16,384 -> 32,768 ({file})",
        f"gpt-4o: last day none -> 2027-01-14 ({file})",
        "3 differences; nothing was changed.",
    ]


def test_the_addresses_come_from_the_environment_too(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_DATA", str(data(tmp_path, *as_they_are())))
    assert app.test_cli_runner().invoke(args=["prices", "check"]).exit_code == 0


def test_data_are_fetched_from_a_url(check: Callable[..., Result], tmp_path: Path) -> None:
    body = data(tmp_path, *as_they_are()).read_bytes()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/data.json" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    good, missing = check("--data", f"{address}/data.json"), check("--data", f"{address}/other.json")
    server.shutdown()
    server.server_close()

    assert (good.exit_code, missing.exit_code) == (0, 2)
    assert "cannot be read" in missing.output


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"id": "openai"}]', "null", '"text"'])
def test_what_is_no_price_data_is_refused_in_words(text: str, check: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(text)
    refused = check("--data", file)

    assert refused.exit_code == 2, refused.output
    assert "cannot be read" in refused.output or "not in the form" in refused.output


def test_without_an_address_there_is_nothing_to_compare_with(check: Callable[..., Result]) -> None:
    assert check().exit_code == 2
    assert "Nothing to compare with" in check().output


def test_the_clock_proposes_other_prices_and_tells_of_all_that_differs_once(
    app: Flask, tmp_path: Path, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_prices() == 0
    mini, large = as_they_are()[2], entry("gpt-4.1", context_window=2_000_000)
    mini["prices"] |= {"output_mtok": "0.9"}
    monkeypatch.setenv("PRICE_DATA", str(data(tmp_path, mini, large, as_they_are()[1])))
    monkeypatch.setenv("PRICE_DATA_SECOND", str(tmp_path / "not there.json"))
    before = {price.id: price.approved_at for price in session.query(ModelPrice)}
    assert [check_prices() for _ in range(2)] == [2, 0]
    session.expire_all()
    [proposal] = [price for price in session.query(ModelPrice) if price.id not in before]
    assert (proposal.model.name, proposal.output_nanos, proposal.approved_at) == (
        "gpt-4o-mini",
        900_000_000,
        None,
    )
    assert {p.id: p.approved_at for p in session.query(ModelPrice) if p.id in before} == before
    mails = session.query(OutgoingMail).filter_by(template="price_notices", to="admin@example.com").all()
    assert [mail.context["count"] for mail in mails] == [2]
    assert "$0.900000000" in mails[0].context["notices"][0]
