"""What providers say beside the tokens, as an admin sees it; a server of one's own as a form."""

from sqlalchemy import select

from app.admin.provider_reports import alarms
from app.catalog.price_source import listed_providers
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.usage import Usage
from tests.admin.conftest import AdminClient
from tests.support import Database, people


def settled(session: Database, cost: int, **said: object) -> None:
    """A call that cost so much by our list."""
    model = people.model("gpt-routed", dollars_in="1", dollars_out="1")
    account, now = people.person("cy"), utcnow()
    user = account.memberships[0].user_id
    times = {"day": now.date(), "created_at": now, "settled_at": now, "state": "settled", "outcome": "done"}
    held = {"reserved_nanos": cost, "max_output_tokens": 9, "cost_nanos": cost, "credits_paid_nanos": cost}
    call = {"account_id": account.id, "user_id": user, "model": "gpt-routed", "price_id": model.prices[0].id}
    session.add(Usage(**call, **times, **held, source="reported", **said))
    session.commit()


SAID = (
    ({"billed_nanos": 1_040_000_000}, ""),
    ({"billed_nanos": 1_060_000_000}, "billed $1.06 for 1 calls, our list says $1.00 (+6%)"),
    ({"billed_nanos": 730_000_000}, "(-27%)"),
    ({"service_tier": "priority"}, "were served at the tier priority, which has no price here"),
    ({"service_tier": "default"}, ""),
    ({"unpriced_pieces": 12}, "12 searches, tokens of images or sound, or other pieces were billed"),
    ({"answered_model": "other/model"}, "answered by other/model, which is not in the price list"),
    ({"answered_model": "gpt-routed-2026-05-01"}, ""),
    ({"answered_model": "vendor/gpt-routed"}, ""),
)


def test_what_differs_from_the_list_is_an_alarm(owner: AdminClient, session: Database) -> None:
    settled(session, 1_000_000_000)
    assert ["notice warn" in owner.get(page).text for page in ("/admin/", "/admin/reports/")] == [False, False]
    nothing = {name: getattr(session.query(Usage).one(), name) for said, _alarm in SAID for name in said}
    for said, alarm in SAID:
        session.query(Usage).update(nothing | said)
        session.commit()
        told = alarms()
        assert (len(told) == 1 and alarm in told[0]) if alarm else told == [], said
    session.query(Usage).update(nothing | {"unpriced_pieces": 12})
    session.commit()
    assert ["notice warn" in owner.get(page).text for page in ("/admin/", "/admin/reports/")] == [True, True]


def test_a_tier_without_a_price_is_shown(owner: AdminClient, session: Database) -> None:
    settled(session, 5_000_000_000, service_tier="priority")

    assert "$5.00" in owner.get("/admin/reports/").text
    offered = session.query(AIModel).filter_by(name="gpt-routed").one()
    row = people.price(offered, "5", "20", service_tier="priority")
    session.add(row)
    session.flush()
    session.query(Usage).update({"price_id": row.id})
    session.commit()
    assert "priority" not in owner.get("/admin/reports/").text


def test_a_server_of_one_s_own_is_a_provider_like_any_other(owner: AdminClient, session: Database) -> None:
    typed = {"name": "Cellar", "kind": "openai", "base_url": "http://192.168.1.7:8080/v1"}
    flags = {
        "limit_name": "both",
        "reports_running": "y",
        "is_gateway": "y",
        "service_tier": "",
        "is_enabled": "y",
    }
    owner.fill("/admin/provider/new/", **typed, **flags)

    row = session.query(ProviderAccount).filter_by(name="Cellar").one()
    assert (row.limit_name, row.reports_running, row.is_gateway, row.service_tier) == (
        "both",
        True,
        True,
        None,
    )
    assert (row.options.limit_name, row.options.reports_running) == ("both", True)


def test_every_provider_of_the_catalogue_is_a_row_those_without_models_too(session: Database) -> None:
    listed = {provider["name"] for provider in listed_providers()}

    assert set(session.scalars(select(ProviderAccount.name))) == listed


def test_a_model_of_which_nobody_states_what_its_host_adds_is_not_sold_without_a_word(
    owner: AdminClient, session: Database
) -> None:
    model = people.model("gpt-hosted", kind="demo", is_for_sale=False)
    session.commit()
    sold = owner.post("/admin/model/sale/", id=str(model.id), switch="on")
    assert sold.status_code == 302
    assert "Nobody has stated" in owner.get("/admin/model/?search=gpt-hosted").text
    assert "not stated" in owner.get("/admin/model/?search=gpt-hosted").text
    assert "gpt-hosted" in owner.get("/admin/reports/").text

    owner.fill(f"/admin/model/edit/?id={model.id}", extra_input_tokens="0")
    assert "gpt-hosted" not in owner.get("/admin/reports/").text
