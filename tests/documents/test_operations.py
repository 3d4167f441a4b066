"""What models do with documents: each a metered call with its receipt; outside a selection not a byte changes."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from sqlalchemy import select

from app.generation.documents import DocumentRequest, parted
from app.generation.text_checkpoint import REVISIONS, KeptText
from app.models.catalog.ai_model import AIModel
from app.models.catalog.operation import OperationRow
from app.models.catalog.plan import Plan
from app.models.documents.diff import changes
from app.models.documents.document import Document, Revision
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.billing.test_usage_pages import signed_in
from tests.chat.conftest import Door
from tests.documents.conftest import new
from tests.support import Database
from tests.support.people import Heard, heard
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def do(person: Door, path: str, **body: object) -> Heard:
    headers = body.pop("headers", {})
    answer = person.call("POST", path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return heard(answer.data)


def shown(person: Door, document: str) -> dict:
    return person.call("GET", f"/documents/{document}").json


def calls(session: Database) -> list[Usage]:
    session.rollback()
    return list(session.scalars(select(Usage).order_by(Usage.id)))


def test_a_draft_is_a_new_document(ada: Door, session: Database, provider: ProviderServer) -> None:
    provider.configure(text="# Ferries\n\nThey float.", input_tokens=50)
    before = ada.balance()["available_nanos"]
    answer = do(ada, "/documents", instructions="Write about ferries", title="Ferries")
    [call] = calls(session)
    document = shown(ada, answer.start["document_id"])

    assert answer.text == document["content"] == "# Ferries\n\nThey float."
    assert (document["title"], document["revisions"][0]["state"]) == ("Ferries", "kept")
    assert (call.operation, call.document_id, call.state) == ("draft", int(document["id"]), "settled")
    assert answer.end["cost_nanos"] == call.paid_nanos == before - ada.balance()["available_nanos"] > 0
    assert document["revisions"][0]["cost_nanos"] == call.paid_nanos
    assert ada.call("GET", f"/usage/calls/{call.id}").json["operation"] == "draft"


def test_a_refinement_is_proposed_and_changes_nothing_yet(
    ada: Door, document: str, session: Database, provider: ProviderServer
) -> None:
    provider.configure(text="One cat.")
    answer = do(ada, f"/documents/{document}/refine", instructions="Cats instead")
    after = shown(ada, document)
    assert after["content"].startswith("One fish.")
    assert (after["revision"], after["revisions"][0]["state"]) == (1, "proposed")
    kept = ada.call("PUT", f"/revisions/{answer.start['revision_id']}", json={"state": "kept"}).json
    assert (kept["content"], kept["revisions"][0]["state"]) == ("One cat.", "kept")


def test_a_proposal_that_is_dropped_leaves_the_document_as_it_was(
    ada: Door, document: str, provider: ProviderServer
) -> None:
    answer = do(ada, f"/documents/{document}/refine", instructions="Cats instead")
    dropped = ada.call("PUT", f"/revisions/{answer.start['revision_id']}", json={"state": "dropped"}).json
    assert (dropped["content"][:9], dropped["revisions"][0]["state"]) == ("One fish.", "dropped")
    again = ada.call("PUT", f"/revisions/{dropped['revisions'][1]['id']}", json={"state": "dropped"})
    assert (again.status_code, again.json["code"]) == (409, "revision_kept")


def test_a_selection_is_refined_and_what_is_around_it_stays(ada: Door, document: str, provider: ProviderServer) -> None:
    provider.configure(text="Drei Hände 🐠")
    content = shown(ada, document)["content"]
    start, end = content.index("Zwei"), content.index(". Three")
    body = {"instructions": "Hands", "start": start, "end": end, "revision": 1}
    answer = do(ada, f"/documents/{document}/refine-selection", **body)
    proposed = ada.call("GET", f"/revisions/{answer.start['revision_id']}").json

    assert answer.text == "Drei Hände 🐠"
    assert proposed["content"] == "One fish. Drei Hände 🐠. Three ships."
    assert "<selection>Zwei Füße 🐟</selection>" in provider.last["body"]["messages"][1]["content"]
    again = heard(ada.call("GET", f"/revisions/{proposed['id']}/stream").data)
    assert (again.text, again.end["cost_nanos"]) == (answer.text, answer.end["cost_nanos"])


def test_a_document_is_repurposed_into_another_with_its_source(
    ada: Door, document: str, session: Database, provider: ProviderServer
) -> None:
    provider.configure(text="Subject: Fish")
    answer = do(ada, f"/documents/{document}/repurpose", kind="mail")
    made = shown(ada, answer.start["document_id"])
    assert (made["content"], made["source_id"], made["kind"]) == ("Subject: Fish", document, "mail")
    assert "an email" in provider.last["body"]["messages"][0]["content"]
    assert (calls(session)[0].operation, calls(session)[0].document_id) == ("repurpose", int(document))


def test_a_picture_is_described_in_words(ada: Door, document: str, provider: ProviderServer) -> None:
    provider.configure(text="A fish in the rain.")
    answer = do(ada, f"/documents/{document}/image-prompt", start=0, end=9)
    assert answer.text == "A fish in the rain."
    assert provider.last["body"]["messages"][1]["content"] == "One fish."
    assert len(ada.call("GET", "/documents").json["items"]) == 1


@pytest.mark.parametrize("operation", ["refine", "refine-selection", "repurpose", "image-prompt"])
def test_another_revision_than_the_newest_spends_nothing(
    ada: Door, document: str, session: Database, operation: str
) -> None:
    ada.call("PATCH", f"/documents/{document}", json={"content": "changed", "revision": 1})
    body = {"instructions": "x", "revision": 1, "start": 0, "end": 3, "kind": "mail"}
    refused = ada.call("POST", f"/documents/{document}/{operation}", json=body)
    assert (refused.status_code, refused.json["code"]) == (409, "document_changed")
    assert calls(session) == []


def test_a_proposal_of_another_text_is_kept_only_by_who_has_seen_it(
    ada: Door, document: str, provider: ProviderServer
) -> None:
    answer = do(ada, f"/documents/{document}/refine", instructions="x")
    changed = ada.call("PATCH", f"/documents/{document}", json={"content": "typed", "revision": 1}).json
    path = f"/revisions/{answer.start['revision_id']}"
    assert ada.call("PUT", path, json={"state": "kept"}).json["code"] == "document_changed"
    kept = ada.call("PUT", path, json={"state": "kept", "revision": changed["revision"]})
    assert kept.json["content"] == answer.text
    assert "typed" in [ada.call("GET", f"/revisions/{row['id']}").json["content"] for row in kept.json["revisions"]]


BAD = [
    ("refine-selection", {"start": 5, "end": 2}, "start"),
    ("refine-selection", {"start": 3, "end": 3}, "end"),
    ("refine-selection", {"start": 0, "end": 900}, "end"),
    ("refine-selection", {"start": -1, "end": 4}, "start"),
    ("refine-selection", {"start": True, "end": 4}, "start"),
    ("refine-selection", {"end": 4}, "start"),
    ("refine", {"instructions": " "}, "instructions"),
    ("refine", {"instructions": 3}, "instructions"),
    ("repurpose", {"kind": "opera", "instructions": ""}, "kind"),
    ("image-prompt", {"start": 0}, "end"),
    ("refine", {"max_output_tokens": 0}, "max_output_tokens"),
]


def test_bad_input_names_its_field_and_spends_nothing(ada: Door, document: str, session: Database) -> None:
    named = {}
    for path, body, _field in BAD:
        whole = {"instructions": "x", "revision": 1} | body
        answer = ada.call("POST", f"/documents/{document}/{path}", json=whole)
        problem = (answer.json if answer.is_json else None) or {}
        named[path, str(body)] = (answer.status_code, [*problem.get("errors", ())])
    assert named == {(path, str(body)): (400, [field]) for path, body, field in BAD}
    assert calls(session) == []


def test_an_empty_document_has_nothing_to_work_on(ada: Door, session: Database) -> None:
    empty = ada.call("POST", "/documents", json={"title": "Empty"}).json["id"]
    answer = ada.call("POST", f"/documents/{empty}/refine", json={"instructions": "x"})
    assert [*answer.json["errors"]] == ["document"]
    assert calls(session) == []


def test_the_same_key_again_gives_the_same_revision(ada: Door, document: str, session: Database) -> None:
    once = {"Idempotency-Key": "one"}
    first = do(ada, f"/documents/{document}/refine", instructions="x", headers=once)
    again = do(ada, f"/documents/{document}/refine", instructions="x", headers=once)
    other = ada.call("POST", f"/documents/{document}/refine", json={"instructions": "y"}, headers=once)
    assert (first.start, first.text, first.end) == (again.start, again.text, again.end)
    assert other.json["code"] == "idempotency_key_reused"
    assert len(calls(session)) == 1


def test_a_ceiling_that_would_be_passed_spends_nothing(ada: Door, document: str, session: Database) -> None:
    body = {"instructions": "x", "max_cost_nanos": 1}
    refused = ada.call("POST", f"/documents/{document}/refine", json=body)
    assert (refused.status_code, refused.json["code"]) == (409, "price_changed")
    assert calls(session) == []
    assert len(shown(ada, document)["revisions"]) == 1


def test_a_draft_without_room_spends_nothing_and_leaves_nothing(ada: Door, session: Database) -> None:
    account = session.query(Account).order_by(Account.id.desc()).first()
    session.get_one(Plan, account.plan_id).documents = 0
    session.commit()
    refused = ada.call("POST", "/documents", json={"instructions": "x"})
    assert (refused.status_code, refused.json["code"]) == (429, "document_limit_reached")
    assert (calls(session), session.scalars(select(Document)).all()) == ([], [])


def test_a_broke_account_is_refused(door: Callable[..., Door], session: Database) -> None:
    refused = door("bob").call("POST", "/documents", json={"instructions": "x"})
    assert (refused.status_code, refused.json["code"]) == (402, "out_of_credits")
    assert session.scalars(select(Document)).all() == []


def test_a_provider_that_fails_is_free_and_what_came_is_proposed(
    ada: Door, session: Database, provider: ProviderServer
) -> None:
    provider.configure(text="Half of a", fault="cut", after=1)
    answer = do(ada, "/documents", instructions="Write")
    [call] = calls(session)
    document = shown(ada, answer.end["document_id"])
    assert (answer.ended_as, call.state, call.paid_nanos) == ("error", "released", 0)
    assert (document["content"], document["revisions"][0]["state"]) == (answer.text, "proposed")
    kept = ada.call("PUT", f"/revisions/{answer.end['revision_id']}", json={"state": "kept"})
    assert kept.json["revisions"][0]["state"] == "kept"
    page = signed_in(ada.client.application.test_client(), "ada").get(f"/documents/{document['id']}").text
    assert escape(answer.end["detail"]) in page


def test_what_a_model_thought_is_no_part_of_the_text(ada: Door, document: str, provider: ProviderServer) -> None:
    provider.configure(text="<think>Fish or ships?</think>\n\nTwo ships.")
    kept = do(ada, "/documents", instructions="Write").end["document_id"]
    assert shown(ada, kept)["content"] == "Two ships."
    answer = do(ada, f"/documents/{document}/refine-selection", instructions="Two", start=0, end=9, revision=1)
    proposed = ada.call("GET", f"/revisions/{answer.end['revision_id']}").json["content"]
    assert proposed == "Two ships. Zwei Füße 🐟. Three ships."


def test_the_page_says_that_an_end_is_missing(ada: Door, document: str, provider: ProviderServer) -> None:
    """A proposal without its end looks like one that leaves it out."""
    page = signed_in(ada.client.application.test_client(), "ada")
    for finish, is_cut_off in (("stop", False), ("length", True)):
        provider.configure(text="One fish.", finish=finish)
        do(ada, f"/documents/{document}/refine", instructions="Longer")
        assert ("Cut off: the end is missing." in page.get(f"/documents/{document}").text) is is_cut_off


def test_an_operation_that_is_off_is_refused(ada: Door, document: str, session: Database) -> None:
    session.query(OperationRow).filter_by(name="refine").one().is_enabled = False
    session.commit()
    refused = ada.call("POST", f"/documents/{document}/refine", json={"instructions": "x"})
    assert (refused.status_code, refused.json["code"]) == (403, "operation_disabled")


def test_a_chat_is_about_a_document_from_then_on(
    ada: Door, document: str, session: Database, provider: ProviderServer
) -> None:
    chat = ada.new_chat()
    ada.ask("What is it about?", chat=chat, document_id=document)
    ada.call("PATCH", f"/documents/{document}", json={"content": "Only newts.", "revision": 1})
    ada.ask("And now?", chat=chat)
    system = provider.last["body"]["messages"][0]
    assert (system["role"], "Only newts." in system["content"]) == ("system", True)
    assert [call.document_id for call in calls(session)] == [int(document)] * 2


def test_a_document_that_is_too_long_for_a_chat_is_named(ada: Door, session: Database) -> None:
    long, chat = new(ada, "fish " * 60_000)["id"], ada.new_chat()
    session.query(AIModel).filter_by(name="gpt-test").one().context_window = 50_000
    session.commit()
    refused = ada.send("Hi", chat=chat, document_id=long)
    assert [*refused.json["errors"]] == ["document_id"]


TEXTS = st.text(max_size=80)


@given(body=TEXTS, answer=TEXTS, numbers=st.tuples(st.integers(0, 80), st.integers(0, 80)))
def test_outside_of_the_selection_not_a_byte_changes(body: str, answer: str, numbers: tuple[int, int]) -> None:
    start, end = sorted(min(number, len(body)) for number in numbers)
    if not body[start:end].strip():
        return
    before, selected, after = parted(body, DocumentRequest("refine_selection", start=start, end=end))
    proposed = KeptText(REVISIONS, 1, 1, before=before, after=after).around(answer)
    assert before + selected + after == body
    assert proposed == body[:start] + answer + body[end:]
    row = Revision(body=proposed, before_length=len(before), after_length=len(after))
    assert row.written == answer


@given(before=TEXTS, after=TEXTS)
def test_a_diff_is_made_of_both_texts(before: str, after: str) -> None:
    parts = changes(before, after)
    assert "".join(text for kind, text in parts if kind != "new") == before
    assert "".join(text for kind, text in parts if kind != "gone") == after
    assert all(text for _kind, text in parts)
