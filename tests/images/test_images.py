"""Images at a fixed price: what is delivered is charged, what is not is free, and what it cost us stands beside it."""

from collections import deque
from collections.abc import Callable

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError

from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.images.conftest import GOOGLE, OPENAI, price_of
from tests.support import Database
from tests.support.image_server import ImageServer, png
from tests.support.people import CREDIT, Heard, heard

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))
VENDORS = [(OPENAI, "low", "1024x1024"), (GOOGLE, "standard", "1K")]
IN_ALL = 20 * 5_000 + 1_000 * 30_000
"""Nanos of an OpenAI image as the painter reports it: 20 tokens at $5, 1,000 at $30 a million."""


def make(person: Door, **body: object) -> Heard:
    headers = body.pop("headers", {})
    answer = person.call("POST", "/images", json={"prompt": "A red fox", **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    return heard(answer.data)


def refused(person: Door, **body: object) -> tuple[int, dict]:
    answer = person.call("POST", "/images", json={"prompt": "A red fox", **body})
    return answer.status_code, answer.json


def last_call(session: Database) -> Usage:
    session.rollback()
    return session.scalars(select(Usage).order_by(Usage.id.desc()).limit(1)).one()


def nothing_was_spent(person: Door, session: Database) -> bool:
    session.rollback()
    return session.scalar(select(func.count()).select_from(Usage)) == 0 and (
        person.balance()["available_nanos"] == 1000 * CREDIT
    )


@pytest.mark.parametrize(("model", "quality", "size"), VENDORS)
def test_an_image_costs_its_price_and_is_a_file(
    ada: Door, session: Database, painter: ImageServer, model: str, quality: str, size: str
) -> None:
    price = price_of(model, quality, size).price_nanos
    asked = {"model": model, "quality": quality, "size": size, "n": 2}
    told = ada.call("POST", "/estimate", json={"operation": "image", "prompt": "A red fox", **asked}).json
    answer = make(ada, **asked, max_cost_nanos=2 * price)
    call = last_call(session)

    assert told["expected_nanos"] == told["ceiling_nanos"] == answer.start["ceiling_nanos"] == 2 * price
    assert answer.end["cost_nanos"] == call.cost_nanos == call.paid_nanos == call.reserved_nanos == 2 * price
    assert ada.balance()["available_nanos"] == 1000 * CREDIT - 2 * price == answer.end["available_nanos"]
    assert [file["media_type"] for file in answer.end["images"]] == ["image/png"] * 2
    file = ada.client.get(answer.end["images"][0]["url"], headers=ada.headers)
    assert (file.status_code, file.data) == (200, png(0))
    receipt = ada.call("GET", f"/usage/calls/{call.id}").json
    assert receipt["lines"] == [{"bucket": "images", "quantity": 2, "price_nanos": price, "per": 1}]
    assert (receipt["image_price"]["quality"], receipt["image_price"]["size"]) == (quality, size)
    assert list(audit()) == []
    assert audit_calls().all() == []


def test_openai_is_asked_in_its_format_and_what_it_cost_stands_beside_the_price(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    make(ada, model=OPENAI, quality="high", size="1536x1024")
    [request] = painter.requests
    wanted = {"model": OPENAI, "prompt": "A red fox", "n": 1, "quality": "high", "size": "1536x1024"}
    assert (request["path"], request["body"]) == ("/v1/images/generations", wanted)
    assert request["headers"]["authorization"] == "Bearer sk-canary-key"
    assert last_call(session).provider_nanos == IN_ALL
    more_than_was_asked_for_is_not_charged(ada, session, painter)
    without_a_report_the_price_is_the_same(ada, session, painter)
    a_price_that_images_were_sold_at_stands(session)


def more_than_was_asked_for_is_not_charged(ada: Door, session: Database, painter: ImageServer) -> None:
    painter.answers.append("some:3")
    assert len(make(ada, model=OPENAI).end["images"]) == 1
    assert last_call(session).paid_nanos == last_call(session).reserved_nanos


def without_a_report_the_price_is_the_same(ada: Door, session: Database, painter: ImageServer) -> None:
    """And nobody knows what it cost us."""
    painter.answers.append("no_usage")
    make(ada, model=OPENAI)
    call = last_call(session)
    assert (call.paid_nanos, call.provider_nanos) == (call.image_price.price_nanos, None)


def a_price_that_images_were_sold_at_stands(session: Database) -> None:
    price, free = last_call(session).image_price, price_of(GOOGLE, "standard", "4K")
    for change in (update(ImagePrice).values(price_nanos=1), delete(ImagePrice)):
        with pytest.raises(DBAPIError, match="never changed"):
            session.execute(change.where(ImagePrice.id == price.id))
        session.rollback()
    session.delete(free)
    session.commit()


def test_google_is_asked_in_its_format_one_image_a_request(ada: Door, session: Database, painter: ImageServer) -> None:
    make(ada, model=GOOGLE, size="16:9 1K", n=2)
    assert len(painter.requests) == 2
    request, config = painter.requests[0], painter.requests[0]["body"]["generationConfig"]
    assert request["path"] == f"/v1beta/models/{GOOGLE}:generateContent"
    assert request["headers"]["x-goog-api-key"] == "google-canary"
    assert request["body"]["contents"] == [{"role": "user", "parts": [{"text": "A red fox"}]}]
    assert config["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "1K"}
    call, text = last_call(session), 30 + 70
    assert call.provider_nanos == 2 * (20 * 1_500 + text * 7_500 + 1_000 * 30_000)
    assert (call.uncached_input, call.output) == (40, 2 * (1_000 + text))


@pytest.mark.parametrize("model", [OPENAI, GOOGLE])
def test_what_is_not_delivered_is_free_and_two_of_four_are_two_paid(
    ada: Door, session: Database, painter: ImageServer, model: str
) -> None:
    own = ["IMAGE_SAFETY"] if model == GOOGLE else []
    for answer in ("filtered", "none", "address", "500 500 500", *own):
        painter.answers.extend(answer.split())
        ended = make(ada, model=model)
        call = last_call(session)
        assert (answer, ended.end["code"], ended.end["cost_nanos"]) == (answer, "provider_error", 0)
        assert "images" not in ended.end
        assert ("link instead" in ended.end["detail"]) == (answer == "address")
        assert (call.state, call.paid_nanos, call.absorbed_nanos) == ("released", 0, call.cost_nanos)
        assert call.cost_nanos == (call.provider_nanos or 0)
        assert painter.answers == deque()
    assert session.query(Attachment).count() == 0
    assert ada.balance()["available_nanos"] == 1000 * CREDIT
    two_of_four_are_two_paid(ada, session, painter, model)
    assert audit_calls().all() == []


def two_of_four_are_two_paid(ada: Door, session: Database, painter: ImageServer, model: str) -> None:
    painter.answers.extend(["some:2"] if model == OPENAI else ["ok", "filtered", "none", "ok"])
    answer = make(ada, model=model, n=4)
    call = last_call(session)
    assert call.paid_nanos == 2 * call.image_price.price_nanos == answer.end["cost_nanos"]
    assert (len(answer.end["images"]), answer.text) == (2, "2 of 4 images.")
    assert ada.balance()["reserved_nanos"] == 0


def test_the_price_in_force_at_the_start_holds(ada: Door, session: Database, painter: ImageServer) -> None:
    before = price_of(OPENAI, "medium", "1024x1024")
    place = {"model_id": before.model_id, "quality": "medium", "size": "1024x1024"}
    after = ImagePrice(**place, price_nanos=99, effective_from=utcnow())
    after.approve()
    waiting = ImagePrice(**place, price_nanos=7, effective_from=utcnow())
    session.add_all([after, waiting])
    session.commit()
    assert make(ada, model=OPENAI).end["cost_nanos"] == 99
    answer = ada.call("POST", "/images", json={"prompt": "x", "model": OPENAI, "max_cost_nanos": 98})
    assert (answer.status_code, answer.json["code"]) == (409, "price_changed")


BAD: list[tuple[dict, str]] = [
    ({"prompt": " "}, "prompt"),
    ({"prompt": "x" * 4001}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"n": 5}, "n"),
    ({"n": 0}, "n"),
    ({"quality": "gorgeous"}, "quality"),
    ({"size": "1x1"}, "size"),
    ({"quality": "low", "size": "4K"}, "size"),
    ({"model": "gpt-test"}, "model"),
    ({"chat_id": "1", "new_chat": True}, "new_chat"),
    ({"new_chat": 7}, "new_chat"),
]


def test_bad_input_names_the_field_and_files_without_room_spend_nothing(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    named, estimated = {}, {}
    for body, _field in BAD:
        case, asked = str(body)[:40], {"prompt": "x", "model": OPENAI} | body
        answer = ada.call("POST", "/images", json=asked)
        problem = (answer.json if answer.is_json else None) or {}
        named[case] = (answer.status_code, [*problem.get("errors", ())])
        estimated[case] = ada.call("POST", "/estimate", json={"operation": "image"} | asked).status_code
    assert named == {str(body)[:40]: (400, [field]) for body, field in BAD}
    unpriced = [{"prompt": " "}, {"chat_id": "1", "new_chat": True}, {"new_chat": 7}]
    assert {case for case, status in estimated.items() if status == 200} == {*map(str, unpriced)}
    there_is_room_for_the_files_or_no_call(ada, session)
    assert nothing_was_spent(ada, session)
    assert painter.requests == []
    assert make(ada, model=OPENAI, n=1).end["images"]


def there_is_room_for_the_files_or_no_call(ada: Door, session: Database) -> None:
    session.add(Setting(key="attachment_megabytes", value="3"))
    session.commit()
    status, problem = refused(ada, model=OPENAI, n=2)
    assert (status, problem["code"], problem["limit"]) == (403, "files_full", 3_000_000)


def test_an_unknown_model_a_chat_with_a_painter_and_one_without_money_are_refused(
    door: Callable[..., Door], painter: ImageServer
) -> None:
    ada, bob = door("ada", credits=1000 * CREDIT), door("bob", credits=CREDIT)
    status, problem = refused(bob, model=OPENAI, quality="max")
    assert (status, problem["code"], "model" in problem) == (402, "request_too_large", False)
    assert refused(ada, model="no-such")[0] == 404
    answer = ada.send("hello", model="gpt-test", chat=ada.new_chat())
    assert answer.status_code != 400
    assert ada.send("hello", chat=ada.new_chat(), model=OPENAI).json["code"] == "model_not_for_sale"
    assert OPENAI not in {model["id"] for model in ada.call("GET", "/models").json["items"]}
    shown = {model["id"]: model for model in ada.call("GET", "/image-models").json["items"]}
    assert shown[OPENAI]["prices"][0]["price_nanos"] == price_of(OPENAI, "low", "1024x1024").price_nanos


def test_images_are_made_in_a_chat_that_has_its_settings_and_in_a_document(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    images_are_files_of_a_document_and_go_with_it(ada, session)
    a_chats_budget_counts(ada, session)
    answer = make(ada, model=OPENAI, new_chat=True, n=2)
    chat = ada.call("GET", f"/chats/{answer.start['chat_id']}").json
    question, made = chat["messages"]
    assert (question["content"], made["content"], made["status"]) == ("A red fox", "2 images.", "done")
    assert made["attachments"] == answer.end["images"]
    assert chat["model"] != OPENAI
    again = heard(ada.call("GET", f"/messages/{made['id']}/stream").data)
    assert again.end["images"] == answer.end["images"]
    page = ada.client.get(f"/chat/{chat['id']}", headers=ada.headers)
    assert page.status_code in (200, 302)
    assert ada.call("DELETE", f"/attachments/{made['attachments'][0]['id']}").status_code == 204


def a_chats_budget_counts(ada: Door, session: Database) -> None:
    own = {"system_prompt": "Briefly.", "folder": "Foxes", "max_output_tokens": 300}
    _status, problem = refused(ada, model=OPENAI, new_chat=own | {"budget_credits": "1"})
    assert (problem["code"], session.query(Chat).count()) == ("chat_budget_reached", 0)
    _status, problem = refused(ada, model=OPENAI, new_chat=own | {"budget_credits": "1.2.3"})
    assert problem["errors"] == {"new_chat": ["`budget_credits`: Enter a number, such as 20 or 20.00."]}
    answer = make(ada, model=OPENAI, new_chat=own | {"budget_credits": "900", "document_id": None, "title": None})
    chat = ada.call("GET", f"/chats/{answer.start['chat_id']}").json
    assert {name: chat[name] for name in (*own, "budget_credits")} == own | {"budget_credits": "900"}


def images_are_files_of_a_document_and_go_with_it(ada: Door, session: Database) -> None:
    document = ada.call("POST", "/documents", json={"content": "Foxes"}).json["id"]
    answer = make(ada, model=OPENAI, document_id=document)
    call = last_call(session)
    assert (call.operation, call.document_id) == ("image", int(document))
    assert [file.call_id for file in Attachment.of_document(int(document))] == [call.id]
    assert ada.call("GET", f"/images/{call.id}").json["images"] == answer.end["images"]
    assert ada.call("DELETE", f"/documents/{document}").status_code == 204
    session.rollback()
    assert session.query(Attachment).count() == 0
    assert ada.client.get(answer.end["images"][0]["url"], headers=ada.headers).status_code == 404


def test_a_repeated_key_pays_once_and_a_plans_images_of_the_month_are_counted(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    a_repeated_key_gives_the_same_images(ada, painter)
    session.query(Account).order_by(Account.id.desc()).first().plan.images_per_month = 4
    session.commit()
    answer = ada.call("POST", "/images", json={"prompt": "x", "model": OPENAI, "n": 2})
    assert answer.headers["X-Images-Remaining"] == "1"
    answer = ada.call("POST", "/images", json={"prompt": "x", "model": OPENAI, "n": 2})
    assert (answer.status_code, answer.json["code"]) == (429, "image_limit_reached")
    assert [answer.json[name] for name in ("used", "limit", "remaining")] == [3, 4, 1]
    assert answer.json["upgrade_url"] == "/pricing"
    assert answer.headers["X-Images-Remaining"] == "1"
    assert ada.call("GET", "/subscription/usage").json["images_used"] == 3
    assert ada.call("GET", "/usage/months").json["items"][0]["images"] == 3


def a_repeated_key_gives_the_same_images(ada: Door, painter: ImageServer) -> None:
    once = {"Idempotency-Key": "one"}
    first, second = (make(ada, model=OPENAI, headers=once) for _ in range(2))
    assert (second.end["call_id"], second.end["images"]) == (first.end["call_id"], first.end["images"])
    assert len(painter.requests) == 1
    other = ada.call("POST", "/images", json={"prompt": "Another"}, headers=once)
    assert (other.status_code, other.json["code"]) == (409, "idempotency_key_reused")
