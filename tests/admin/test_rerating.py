"""The page of wrong prices: the preview, the click, and the receipt that says so."""

from datetime import timedelta

import pytest
from flask import Flask

from app.models.base import utcnow
from app.models.billing.rerating import Rerating
from app.models.catalog.ai_model import AIModel
from app.models.identity.user import User
from app.models.metering.reservation import settle
from app.models.metering.usage import Usage
from app.payments import rerating as work
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.admin.conftest import AdminClient, sign_in
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, model, person


@pytest.fixture
def call(app: Flask, session: Database) -> Usage:
    model("m", kind="demo", dollars_in="2.5", dollars_out="10")
    account = person("ada", credits=100 * CREDIT)
    prompt = Prompt("m", (PromptMessage("user", "x" * 3000),), 4000)
    reservation = reserve(actor(account), prompt, AIModel.to_sell("m", utcnow())[1])
    settle(reservation, TokenUsage(uncached_input=800, output=41, source="reported"), "done")
    session.commit()
    return session.get_one(Usage, reservation.usage_id)


def typed(call: Usage, **fields: str) -> dict[str, str]:
    now = utcnow() + timedelta(minutes=1)
    began = {"since": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M}", "until": f"{utcnow():%Y-%m-%dT%H:%M:%S}"}
    return {"price_id": str(call.price_id), **began, "reason": "A slip of ours.", **fields}


def test_a_price_is_corrected_from_the_form_to_the_receipt(
    app: Flask, owner: AdminClient, client_of, call: Usage, session: Database
) -> None:
    call.created_at = utcnow() - timedelta(minutes=2)
    session.commit()
    begun = owner.post("/admin/rerating/", **typed(call, output_nanos="0"))
    assert begun.status_code == 302, begun.text
    [rerating] = session.query(Rerating)
    assert work.go_on(rerating.id)
    page = owner.get(begun.location).text
    assert "$10.00" in page
    assert "You got 0.41 credits back" in page
    assert owner.post("/admin/rerating/apply/", id=rerating.id).status_code == 302
    assert owner.post("/admin/rerating/apply/", id=rerating.id).status_code == 409
    session.expire_all()
    assert work.go_on(rerating.id)
    assert "all done" in owner.get(begun.location).text
    assert_the_receipt_says_so(app, call, session)


def assert_the_receipt_says_so(app: Flask, call: Usage, session: Database) -> None:
    ada = app.test_client()
    sign_in(ada, session.query(User).filter_by(email="ada@example.com").one())
    receipt = ada.get(f"/billing/calls/{call.id}").text
    assert "0.41 credits came back" in receipt
    assert "A slip of ours." in receipt
    [correction] = ada.get(f"/api/usage/calls/{call.id}").json["corrections"]
    assert (correction["paid_before_credits"], correction["right_cost_credits"]) == ("2.41", "2")
    assert correction["returned_nanos"] == 410_000


def test_what_cannot_be_is_refused_where_it_was_typed(owner: AdminClient, call: Usage, session: Database) -> None:
    for fields, text in (
        ({"output_nanos": "-1"}, "be negative"),
        ({"since": ""}, "This is required."),
        ({"output_nanos": "10"}, "nothing would change"),
        ({"until": "2999-01-01T00:00"}, "in the future"),
        ({"price_id": "999"}, "Not a valid choice"),
    ):
        refused = owner.post("/admin/rerating/", **typed(call, **fields))
        assert refused.status_code == 422
        assert text in refused.text
    assert session.query(Rerating).count() == 0
    assert owner.get("/admin/rerating/details/?id=999").status_code == 404
