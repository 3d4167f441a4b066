"""The price list: a change is a new row, what was sold at stays, a person approves what the registry says."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.provider_account import ProviderAccount
from app.models.operations.audit_log import AdminChange
from app.providers.base import PromptMessage
from tests.admin.conftest import AdminClient
from tests.support import Database, people

FIGURES = {f"{name}_nanos": "2,5" for name in ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h")}


@pytest.fixture
def priced(session: Database) -> ModelPrice:
    """A model's approved price of long ago."""
    price = people.model(kind="demo").prices[0]
    session.commit()
    return price


def prices(session: Database, model_id: int) -> list[ModelPrice]:
    session.rollback()
    return list(session.scalars(select(ModelPrice).where(ModelPrice.model_id == model_id).order_by(ModelPrice.id)))


@pytest.mark.databases("sqlite", "postgresql")
def test_a_changed_price_is_a_new_row(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    assert owner.fill(f"/admin/price/edit/?id={priced.id}", output_nanos="12.345").status_code == 302
    old, new = prices(session, priced.model_id)
    assert (old.output_nanos, new.output_nanos) == (10 * 10**9, 12_345_000_000)
    assert new.approved_by_id is not None
    in_force = AIModel.to_sell("gpt-test", utcnow())[1]
    assert in_force.id == new.id


def test_a_tier_s_price_stands_beside_the_ordinary_one_and_changes_by_itself(
    owner: AdminClient, priced: ModelPrice, session: Database
) -> None:
    typed = {
        "model_id": str(priced.model_id),
        "output_nanos": "5",
        "service_tier": "Flex",
        "uncached_input_nanos": "2,5",
    }
    assert owner.fill("/admin/price/new/", **typed).status_code == 302
    flex = prices(session, priced.model_id)[1]
    assert (flex.cache_read_nanos, flex.cache_write_1h_nanos) == (25 * 10**8, 25 * 10**8), "cached costs as input"
    assert owner.fill(f"/admin/price/edit/?id={flex.id}", output_nanos="4").status_code == 302

    assert [price.tier for price in prices(session, priced.model_id)] == ["", "flex", "flex"]
    assert AIModel.to_sell("gpt-test", utcnow())[1].id == priced.id
    session.query(ProviderAccount).update({"service_tier": "flex"})
    assert AIModel.to_sell("gpt-test", utcnow())[1].output_nanos == 4 * 10**9


def test_a_price_can_begin_on_a_day_to_come(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    day = (utcnow() + timedelta(days=10)).strftime("%Y-%m-%dT00:00")
    owner.fill(f"/admin/price/edit/?id={priced.id}", output_nanos="1", effective_from=day)
    assert AIModel.to_sell("gpt-test", utcnow())[1].id == priced.id
    assert prices(session, priced.model_id)[1].effective_from == datetime.fromisoformat(day + "+00:00")


def test_a_price_cannot_begin_in_the_past(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    refused = owner.fill(f"/admin/price/edit/?id={priced.id}", output_nanos="1", effective_from="2026-01-01T00:00")
    assert refused.status_code == 422
    assert len(prices(session, priced.model_id)) == 1


def test_an_absurd_price_is_refused(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    form, path = owner.form(f"/admin/price/edit/?id={priced.id}"), f"/admin/price/edit/?id={priced.id}"
    for typed in ("-1", "NaN", "Infinity", "", "1e9", "0.0000000001", "1,2,3"):
        assert owner.send(path, form | {"output_nanos": typed}).status_code == 422, typed
    assert len(prices(session, priced.model_id)) == 1


def test_a_model_gets_its_first_price(owner: AdminClient, session: Database) -> None:
    model = people.model("fresh", kind="demo")
    session.delete(model.prices[0])
    session.commit()
    made = owner.fill("/admin/price/new/", model_id=str(model.id), output_nanos="10", **FIGURES)
    assert made.status_code == 302, made.text
    assert [price.uncached_input_nanos for price in prices(session, model.id)] == [2_500_000_000]


def test_a_proposal_counts_once_it_is_approved(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    proposal = people.price(priced.model, "9", "9", approved_at=None)
    session.add(proposal)
    session.commit()
    assert AIModel.to_sell("gpt-test", utcnow())[1].id == priced.id
    owner.post("/admin/price/approve/", id=proposal.id)
    session.rollback()
    assert AIModel.to_sell("gpt-test", utcnow())[1].id == proposal.id
    assert session.scalars(select(AdminChange)).one().action == "approve"


def test_the_registrys_price_stands_beside_ours(owner: AdminClient, session: Database) -> None:
    seeded = session.scalars(select(ModelPrice).join(AIModel).where(AIModel.name == "gpt-4o")).first()
    seeded.output_nanos += 10**9
    session.commit()
    page = owner.get("/admin/registry/").text
    assert "$11.00 → $10.00" in page


def test_the_registrys_price_is_approved_by_name(owner: AdminClient, session: Database) -> None:
    seeded = session.scalars(select(ModelPrice).join(AIModel).where(AIModel.name == "gpt-4o")).first()
    seeded.output_nanos += 10**9
    model_id = seeded.model_id
    session.commit()
    owner.post("/admin/registry/approve/", model="gpt-4o")
    newest = prices(session, model_id)[-1]
    assert (newest.output_nanos, newest.approved_at is not None) == (10 * 10**9, True)
    assert "gpt-4o<" not in owner.get("/admin/registry/").text


def test_a_model_is_taken_off_sale_in_one_click(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    owner.post("/admin/model/sale/", id=priced.model_id, switch="off")
    session.rollback()
    assert session.get(AIModel, priced.model_id).is_for_sale is False


def test_a_provider_says_whether_it_works(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    owner.post("/admin/provider/try/", id=priced.model.provider_id)
    assert "Working:" in owner.get("/admin/provider/").text


def test_a_provider_that_fails_says_what_an_admin_can_look_at(
    owner: AdminClient, priced: ModelPrice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.provider_check.QUESTION", PromptMessage("user", "/demo credentials"))
    owner.post("/admin/provider/try/", id=priced.model.provider_id)
    page = owner.get("/admin/provider/").text
    assert ("Check the key, and" in page, "choose another model" in page) == (True, False)


def test_a_provider_cannot_name_what_is_no_key_or_address(owner: AdminClient, session: Database) -> None:
    form = owner.form("/admin/provider/new/") | {"name": "Elsewhere", "kind": "openai"}
    for field, typed in (
        ("key_variable", "SECRET_KEY"),
        ("key_variable", "DATABASE_URL"),
        ("base_url", "http://169.254.169.254/"),
        ("base_url", "file:///etc/passwd"),
        ("kind", "smtp"),
        ("base_url_variable", "PATH"),
    ):
        refused = owner.send("/admin/provider/new/", form | {field: typed})
        assert refused.status_code == 422, (field, typed)
    session.rollback()
    assert session.scalars(select(ProviderAccount).where(ProviderAccount.name == "Elsewhere")).all() == []


def test_a_price_holds_on_the_days_that_are_chosen(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    days = {"weekdays": "Fri, monday", "excepted_dates": "2027-01-01, 2026-12-25", "zone": "Asia/Shanghai"}
    assert (
        owner.fill(f"/admin/price/edit/?id={priced.id}", output_nanos="1", from_minute="1:00", **days).status_code
        == 302
    )
    new = prices(session, priced.model_id)[1]
    assert (new.weekdays, new.excepted_dates, new.zone) == ("15", "2026-12-25 2027-01-01", "Asia/Shanghai")
    assert (new.from_minute, owner.form(f"/admin/price/edit/?id={new.id}")["from_minute"]) == (60, "01:00")
    page = owner.get("/admin/price/").text
    assert "by the command line" in page
    assert "01:00 to 24:00 Asia/Shanghai on Mon, Fri, but not on 2 dates" in page


WRONG_DAYS = (
    {"zone": "Peking"},
    {"from_minute": "25:00"},
    {"from_minute": "60"},
    {"from_minute": "22:00", "until_minute": "6:00"},
    {"weekdays": "Moonday, Foo"},
    {"zone": "../etc/passwd"},
    {"excepted_dates": "1 May"},
)


def test_days_that_are_none_are_refused(owner: AdminClient, priced: ModelPrice, session: Database) -> None:
    form, path = owner.form(f"/admin/price/edit/?id={priced.id}"), f"/admin/price/edit/?id={priced.id}"
    for wrong in WRONG_DAYS:
        assert owner.send(path, form | {"output_nanos": "1"} | wrong).status_code == 422, wrong
    assert len(prices(session, priced.model_id)) == 1


def test_one_of_a_days_proposals_is_approved_with_the_others(
    owner: AdminClient, priced: ModelPrice, session: Database
) -> None:
    begins = utcnow() - timedelta(hours=1)
    times = {"effective_from": begins, "approved_at": None, "source": "genai-prices"}
    whole = people.price(priced.model, "9", "9", **times)
    morning = people.price(priced.model, "9", "18", from_minute=1, **times)
    session.add_all([whole, morning])
    session.commit()
    owner.post("/admin/price/approve/", id=morning.id)
    approved = [price for price in prices(session, priced.model_id) if price.approved_at][1:]
    assert len({price.effective_from for price in approved}) == 1
    assert len(approved) == 2


def test_a_vendors_last_day_is_taken_over_by_name(owner: AdminClient, session: Database) -> None:
    session.query(AIModel).update({"sold_until": None})
    session.commit()
    assert "Models that end" in owner.get("/admin/registry/").text
    owner.post("/admin/registry/end/", model="gpt-5-mini")
    session.rollback()
    ends = session.scalars(select(AIModel.name).where(AIModel.sold_until.is_not(None))).all()
    assert ends == ["gpt-5-mini"]
    assert session.scalars(select(AdminChange)).one().action == "edit"
