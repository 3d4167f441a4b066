"""Newer data that disagrees waits in the admin with both figures; a click accepts or dismisses it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.generation.model_jobs import check_prices
from app.models.catalog.ai_model import AIModel
from app.models.catalog.catalog_proposal import CatalogProposal
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_ahead import counted
from app.models.catalog.price_schedule import in_force
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient
from tests.prices.test_price_watch import NOW, as_they_are, data, entry, three_on_sale
from tests.support import Database

__all__ = ["three_on_sale"]
SECOND: dict[str, Any] = {
    "output_cost_per_token": 1.2e-05,
    "max_output_tokens": 32_768,
    "deprecation_date": "2027-01-14",
}


@pytest.fixture
def listed(app: Flask, session: Database) -> dict[str, Any]:
    """Everything that calls are priced and bounded by, to be compared."""
    return as_it_is(session)


def as_it_is(session: Database) -> dict[str, Any]:
    approved = select(ModelPrice.id, ModelPrice.output_nanos).where(ModelPrice.approved_at.is_not(None))
    columns = (
        AIModel.name,
        AIModel.context_window,
        AIModel.max_output_tokens,
        AIModel.sold_until,
        AIModel.is_for_sale,
    )
    session.expire_all()
    return {"prices": session.execute(approved).all(), "models": session.execute(select(*columns)).all()}


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The clock's look at newer data and at a second list."""

    def look(models: list[dict[str, Any]], second: dict[str, Any]) -> None:
        file = tmp_path / "second.json"
        file.write_text(json.dumps(second))
        monkeypatch.setenv("PRICE_DATA", str(data(tmp_path, *models)))
        monkeypatch.setenv("PRICE_DATA_SECOND", str(file))
        check_prices()

    return look


@pytest.fixture
def differing(watch: Callable[..., None], listed: dict[str, Any], session: Database) -> dict[str, int]:
    """One of each kind: by field, the id of its proposal."""
    new = entry("gpt-4o", id="gpt-7-sol", context_window=400_000) | {"name": "GPT 7 Sol"}
    watch(
        [entry("gpt-4.1", context_window=2_000_000), entry("gpt-4o-mini", deprecated=True), new],
        {"gpt-4o": SECOND},
    )
    assert as_it_is(session) == listed
    return {f"{row.model} {row.field}": row.id for row in CatalogProposal.waiting()}


def test_each_difference_waits_with_both_figures_and_nothing_is_applied(
    owner: AdminClient, differing: dict[str, int], session: Database
) -> None:
    rows = {f"{row.model} {row.field}": (row.ours, row.theirs) for row in CatalogProposal.waiting()}
    assert rows == {
        "gpt-4.1 context_window": ("1,047,576", "2,000,000"),
        "gpt-4o is_for_sale": ("on the list", "none anymore"),
        "gpt-4o max_output_tokens": ("16,384", "32,768"),
        "gpt-4o output_nanos": ("$10.000000000", "$12.000000000"),
        "gpt-4o sold_until": ("none", "2027-01-14"),
        "gpt-4o-mini sold_until": ("none", "retired by its vendor"),
        "gpt-7-sol model": ("not there", "new"),
    }
    page = owner.get("/admin/registry/").text
    for text in (
        "Newer data",
        "1,047,576",
        "2,000,000",
        "Take off sale",
        "Retire now",
        "Add as draft",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("which", "model", "expected"),
    [
        ("gpt-4.1 context_window", "gpt-4.1", {"context_window": 2_000_000}),
        ("gpt-4o sold_until", "gpt-4o", {"sold_until": datetime(2027, 1, 14, tzinfo=UTC)}),
        ("gpt-4o-mini sold_until", "gpt-4o-mini", {"sold_until": NOW}),
        ("gpt-4o is_for_sale", "gpt-4o", {"is_for_sale": False}),
    ],
)
def test_a_click_accepts_it_and_is_recorded(
    owner: AdminClient, client_of: Any, differing: dict[str, int], session: Database, which: str, model: str,
    expected: dict[str, Any],
) -> None:  # fmt: skip
    identifier = differing[which]
    assert owner.post("/admin/registry/decide/", id=identifier, decision="accept").status_code == 302
    session.expire_all()
    changed = session.scalars(select(AIModel).where(AIModel.name == model)).one()
    assert {name: getattr(changed, name) for name in expected} == expected
    record = session.scalars(select(AdminChange).where(AdminChange.action == "accept")).one()
    proposal = session.get_one(CatalogProposal, identifier)
    assert record.changes[proposal.field] == [proposal.ours, proposal.theirs]
    assert (proposal.state, proposal.decided_at, record.subject_id) == ("accepted", NOW, str(changed.id))
    assert len(CatalogProposal.waiting()) == len(differing) - 1


def price_now() -> ModelPrice:
    model = AIModel.named("gpt-4o")
    price = in_force(counted(model), NOW) if model else None
    assert price is not None
    return price


def test_a_price_of_the_second_list_is_a_row_from_now_on(
    owner: AdminClient, differing: dict[str, int], session: Database
) -> None:
    before = price_now()
    owner.post("/admin/registry/decide/", id=differing["gpt-4o output_nanos"], decision="accept")
    session.expire_all()
    price = price_now()
    assert (price.output_nanos, price.uncached_input_nanos) == (12 * 10**9, before.uncached_input_nanos)
    assert (price.id == before.id, price.effective_from, price.source) == (False, NOW, "price watch")
    owner.post("/admin/registry/decide/", id=differing["gpt-4o output_nanos"], decision="accept")
    assert session.query(ModelPrice).filter_by(source="price watch").count() == 1


def test_prices_by_the_hour_are_not_hidden_by_one_of_all_hours(
    owner: AdminClient, differing: dict[str, int], session: Database
) -> None:
    price = price_now()
    peak = {column.key: getattr(price, column.key) for column in ModelPrice.__table__.columns}
    del peak["id"]
    session.add(ModelPrice(**peak | {"from_minute": 60, "until_minute": 120}))
    session.commit()
    identifier = differing["gpt-4o output_nanos"]
    owner.post("/admin/registry/decide/", id=identifier, decision="accept")
    page = owner.get("/admin/registry/").text
    assert "change them in the price list" in page
    assert len(CatalogProposal.waiting()) == len(differing)


def test_a_new_model_is_a_draft_whose_price_waits(
    owner: AdminClient, differing: dict[str, int], session: Database
) -> None:
    owner.post("/admin/registry/decide/", id=differing["gpt-7-sol model"], decision="accept")
    session.expire_all()
    draft = session.scalars(select(AIModel).where(AIModel.name == "gpt-7-sol")).one()
    assert (draft.title, draft.is_for_sale, draft.context_window) == ("GPT 7 Sol", False, 400_000)
    assert [(price.output_nanos, price.approved_at) for price in draft.prices] == [(10 * 10**9, None)]


def test_what_is_dismissed_comes_back_when_its_source_says_something_else(
    owner: AdminClient, differing: dict[str, int], watch: Callable[..., None], session: Database
) -> None:
    owner.post("/admin/registry/decide/", id=differing["gpt-4o max_output_tokens"], decision="dismiss")
    as_before = {"gpt-4o": SECOND}
    watch(as_they_are(), as_before)
    assert [row.field for row in CatalogProposal.waiting()] == ["output_nanos", "sold_until"]
    watch(as_they_are(), {"gpt-4o": SECOND | {"max_output_tokens": 65_536}})
    assert [row.field for row in CatalogProposal.waiting()] == [
        "max_output_tokens",
        "output_nanos",
        "sold_until",
    ]
    watch(as_they_are(), {})
    assert CatalogProposal.waiting() == []


def test_a_source_that_cannot_be_read_withdraws_nothing(
    differing: dict[str, int], tmp_path: Path, session: Database
) -> None:
    (tmp_path / "second.json").write_text("no list")
    check_prices()
    assert {row.id for row in CatalogProposal.waiting()} == set(differing.values())
