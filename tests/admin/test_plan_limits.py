"""The example plans of the seeds, set up in the admin: 5 chats and 2 documents free; 100 and 10; any number."""

import pytest
from flask.testing import FlaskClient

from app.models.catalog.plan import Plan
from app.web.refusals import image_limit_reached
from tests.admin.conftest import AdminClient
from tests.auth.conftest import Browser
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT

EXAMPLES = [("5", "2", "3"), ("-1", "", "-1")]


@pytest.mark.parametrize(("chats", "documents", "images"), EXAMPLES)
def test_an_example_plan_is_set_up_in_the_admin_and_holds(
    owner: AdminClient, session: Database, chats: str, documents: str, images: str
) -> None:
    typed = {"chats_per_month": chats, "documents": documents, "images_per_month": images}
    owner.fill("/admin/plan/new/", name="Example", price_cents="9", **typed)
    session.rollback()
    plan = session.query(Plan).filter_by(name="Example").one()
    limits = [plan.chats_per_month, plan.documents, plan.images_per_month]
    assert limits == [int(value) if value not in ("", "-1") else None for value in typed.values()]

    people.model()
    ada = Door(
        owner.client.application.test_client(),
        people.api_key(people.person("ada", plan=plan, credits=CREDIT)),
    )
    made = [ada.call("POST", "/documents", json={"title": str(number)}) for number in range(3)]
    begun = [ada.call("POST", "/chats", json={}) for _ in range(6)]
    is_small = documents == "2"
    assert [answer.status_code for answer in made] == [201, 201, 429 if is_small else 201]
    assert [answer.status_code for answer in begun] == [201] * 5 + [429 if is_small else 201]
    used = ada.call("GET", "/subscription/usage").json
    assert [used[f"{kind}_limit"] for kind in ("chats", "documents", "images")] == limits
    if is_small:
        check_refusals(ada, made, begun)


def check_refusals(ada: Door, made: list, begun: list) -> None:
    assert (made[2].json["code"], made[2].headers["X-Documents-Remaining"]) == (
        "document_limit_reached",
        "0",
    )
    assert (begun[5].json["code"], begun[5].headers["X-Chats-Remaining"]) == ("chat_limit_reached", "0")
    assert [made[2].json[name] for name in ("used", "limit", "remaining", "upgrade_url")] == [
        2,
        2,
        0,
        "/pricing",
    ]
    ada.call("DELETE", f"/documents/{made[0].json['id']}")
    assert ada.call("POST", "/documents", json={}).status_code == 201


def test_a_plan_that_has_none_of_a_kind_says_so_and_counts_none(session: Database, client: FlaskClient) -> None:
    people.model()
    account = people.person("ada", credits=CREDIT)
    ada = Door(client, people.api_key(account))
    account.warns_near_limits = True
    account.plan.chats_per_month = account.plan.images_per_month = 0
    account.plan.documents = 3
    session.commit()
    browser = Browser(client.application.test_client())
    browser.sign_in("ada")
    for path in ("/billing", "/billing/usage"):
        page = browser.client.get(path).text
        assert ("of 3 documents" in page, page.count("data-limit"), "None left" in page) == (True, 1, False)
    account.plan.documents = 0
    session.commit()
    told = [ada.call("POST", f"/{kind}", json={}).json["detail"] for kind in ("chats", "documents")]
    told.append(image_limit_reached(plan=account.plan.name, counts={"used": 0, "limit": 0, "remaining": 0}))
    assert [text.partition(".")[0] for text in told] == [
        f"{account.plan.name} doesn't include {what}" for what in ("new chats", "documents", "images")
    ]
    assert "data-limit" not in browser.client.get("/billing").text
