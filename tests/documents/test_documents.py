"""Documents: written, revised, kept, dropped and restored; nobody else's; gone when deleted."""

from collections.abc import Callable

import pytest
from sqlalchemy import insert, select, update

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.plan import Plan
from app.models.documents import document as document_module
from app.models.documents.document import LONGEST_BODY, Document, Revision
from app.models.identity.account import Account
from tests.chat.conftest import Door
from tests.documents.conftest import new
from tests.support import Database
from tests.support.peak_memory import with_peak


def save(person: Door, document: str, content: str, revision: int) -> dict:
    answer = person.call("PATCH", f"/documents/{document}", json={"content": content, "revision": revision})
    assert answer.status_code == 200, answer.text
    return answer.json


def later(session: Database) -> None:
    """Let the sitting end: what is saved next is another revision."""
    session.rollback()
    for revision in session.scalars(select(Revision)):
        revision.saved_at = revision.saved_at.replace(year=2020)
    session.commit()


def test_a_document_begins_with_a_text_at_no_cost(ada: Door) -> None:
    before = ada.balance()["available_nanos"]
    made = new(ada, "Hello, you two.", title="Letter")
    assert (made["title"], made["content"], made["words"], made["revision"]) == (
        "Letter",
        "Hello, you two.",
        3,
        1,
    )
    assert ada.balance()["available_nanos"] == before


def test_a_document_keeps_so_many_revisions_and_no_more(
    ada: Door, document: str, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restoring one again and again would fill the disk."""
    monkeypatch.setattr("app.models.documents.document.MOST_REVISIONS", 4)
    save(ada, document, "another text", 1)
    later(session)
    made = save(ada, document, "and another", 2)["revisions"]
    restored = [
        ada.call("PUT", f"/revisions/{made[n % 2]['id']}", json={"state": "kept", "revision": None}) for n in (1, 0, 1)
    ]
    assert [answer.status_code for answer in restored][-1] == 409
    assert restored[-1].json["code"] == "too_many_revisions"
    assert session.query(Revision).count() == 4


def test_what_is_typed_in_one_sitting_is_one_revision(ada: Door, document: str) -> None:
    first = save(ada, document, "a", 1)
    second = save(ada, document, "ab", first["revision"])
    assert (second["content"], len(second["revisions"])) == ("ab", 1)
    assert second["revision"] > first["revision"] > 1


def test_a_later_sitting_is_another_revision(ada: Door, document: str, session: Database) -> None:
    later(session)
    after = save(ada, document, "later", 1)
    assert [row["number"] for row in after["revisions"]] == [2, 1]


def test_two_tabs_cannot_overwrite_each_other(ada: Door, document: str) -> None:
    save(ada, document, "mine", 1)
    refused = ada.call("PATCH", f"/documents/{document}", json={"content": "yours", "revision": 1})
    assert (refused.status_code, refused.json["code"]) == (409, "document_changed")
    shown = ada.call("GET", f"/documents/{document}").json
    assert (shown["content"], shown["revision"]) == ("mine", refused.json["revision"])


def test_an_earlier_revision_is_restored_as_a_new_one(ada: Door, document: str, session: Database) -> None:
    later(session)
    after = save(ada, document, "later", 1)
    first = after["revisions"][-1]["id"]
    restored = ada.call("PUT", f"/revisions/{first}", json={"state": "kept", "revision": 2}).json
    assert restored["content"].startswith("One fish.")
    assert [row["number"] for row in restored["revisions"]] == [3, 2, 1]


def test_a_revision_says_what_is_different(ada: Door, document: str, session: Database) -> None:
    later(session)
    after = save(ada, document, "One fish. Zwei Hände 🐟. Three ships.", 1)
    read = ada.call("GET", f"/revisions/{after['revisions'][0]['id']}").json
    assert [(part["kind"], part["text"]) for part in read["changes"]] == [
        ("same", "One fish. Zwei "),
        ("gone", "Füße"),
        ("new", "Hände"),
        ("same", " 🐟. Three ships."),
    ]


def test_the_list_searches_title_and_text_and_keeps_the_archive_apart(ada: Door, document: str) -> None:
    other = new(ada, "Nothing of it.", title="50% off")["id"]
    ada.call("PATCH", f"/documents/{other}", json={"is_archived": True})

    def listed(query: str) -> list[str]:
        return [row["id"] for row in ada.call("GET", f"/documents?{query}").json["items"]]

    assert listed("") == listed("q=ships") == [document]
    assert listed("q=50%25") == []
    assert listed("archived=1") == listed("archived=1&q=50%25 o") == [other]


BAD = [
    ({"content": "x"}, "revision"),
    ({"content": 7, "revision": 1}, "content"),
    ({"content": "x" * (LONGEST_BODY + 1), "revision": 1}, "content"),
    ({"title": "x" * 201}, "title"),
    ({"is_archived": "yes"}, "is_archived"),
    ({}, "body"),
]


def test_bad_input_names_its_field(ada: Door, document: str) -> None:
    named = {}
    for body, _field in BAD:
        answer = ada.call("PATCH", f"/documents/{document}", json=body)
        named[str(body)[:40]] = (answer.status_code, [*answer.json.get("errors", ())])
    assert named == {str(body)[:40]: (400, [field]) for body, field in BAD}
    too_long = ada.call("PATCH", f"/documents/{document}", json={"title": "x" * 201})
    assert too_long.json["errors"] == {"title": ["is longer than 200 characters."]}


def test_deleting_erases_every_word(ada: Door, document: str, session: Database) -> None:
    ada.call("PATCH", f"/documents/{document}", json={"title": "canary title"})
    assert ada.call("DELETE", f"/documents/{document}").status_code == 204
    session.rollback()
    assert ada.call("GET", f"/documents/{document}").status_code == 404
    assert {row.body for row in session.scalars(select(Revision))} == {""}
    assert session.scalar(select(Document.title)) == ""


@pytest.mark.databases("postgresql")
def test_what_is_deleted_meanwhile_is_not_written_to(
    ada: Door, document: str, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = Document.hold

    def after_deletion(self: Document) -> None:
        with db.engine.begin() as other:
            other.execute(update(Document).values(title="", deleted_at=utcnow(), head_id=None))
        hold(self)

    monkeypatch.setattr(Document, "hold", after_deletion)
    assert ada.call("PATCH", f"/documents/{document}", json={"title": "Secret"}).status_code == 404
    session.rollback()
    assert session.get(Document, int(document)).title == ""


def test_documents_are_counted_as_they_stand(ada: Door, document: str, session: Database) -> None:
    account = session.query(Account).order_by(Account.id.desc()).first()
    plan = session.get_one(Plan, account.plan_id)
    plan.documents = 2
    session.commit()
    second = new(ada, "second")["id"]
    refused = ada.call("POST", "/documents", json={"content": "third"})
    assert (refused.status_code, refused.json["code"]) == (429, "document_limit_reached")
    assert [refused.json[name] for name in ("used", "limit", "remaining")] == [2, 2, 0]
    assert refused.json["upgrade_url"] == "/pricing"
    ada.call("DELETE", f"/documents/{second}")
    new(ada, "third")


def test_a_lower_limit_keeps_all_and_takes_no_new_one(ada: Door, document: str, session: Database) -> None:
    new(ada, "second")
    account = session.query(Account).order_by(Account.id.desc()).first()
    session.get_one(Plan, account.plan_id).documents = 1
    session.commit()
    assert len(ada.call("GET", "/documents").json["items"]) == 2
    refused = ada.call("POST", "/documents", json={}).json
    assert (refused["used"], "this account has 2. Delete 2, or" in refused["detail"]) == (2, True)


def test_a_broke_account_may_still_write_by_hand(door: Callable[..., Door]) -> None:
    bob = door("bob")
    made = new(bob, "by hand")
    assert save(bob, made["id"], "by hand still", 1)["content"] == "by hand still"


def test_many_long_revisions_are_listed_without_their_texts(ada: Door, document: str, session: Database) -> None:
    """A document may have a thousand of 400,000 characters each."""
    kept = session.get_one(Document, int(document))
    row = {"account_id": kept.account_id, "document_id": kept.id, "body": "a" * LONGEST_BODY, "status": "done"}
    row |= {"before_length": 0, "after_length": 0, "saved_at": utcnow(), "created_at": utcnow()}
    states = ("kept", "proposed")
    session.execute(insert(Revision), [row | {"number": n, "state": states[n % 2]} for n in range(2, 62)])
    session.commit()
    answer, to_answer = with_peak(lambda: ada.call("GET", f"/documents/{document}"))
    waiting, to_count = with_peak(lambda: sum(revision.is_open for revision in kept.revisions()))
    assert (len(answer.json["revisions"]), waiting) == (61, 30)
    assert max(to_answer, to_count) < 10_000_000


@pytest.mark.parametrize("letter", ["a", "ß"])
def test_an_accounts_documents_have_so_much_room(ada: Door, monkeypatch: pytest.MonkeyPatch, letter: str) -> None:
    """In bytes."""
    monkeypatch.setattr(document_module, "ROOM", 1_000_000)
    long = letter * (LONGEST_BODY // len(letter.encode()))
    texts = [ada.call("POST", "/documents", json={"content": long}) for _ in range(3)]
    assert [answer.status_code for answer in texts] == [201, 201, 400]
    assert list(texts[-1].json["errors"]) == ["content"]
    ada.call("DELETE", f"/documents/{texts[0].json['id']}")
    assert new(ada, "a" * LONGEST_BODY)["words"] == 1


def test_a_text_that_grows_in_one_sitting_takes_room(ada: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_module, "ROOM", 100)
    document = new(ada, "a" * 10)["id"]
    texts = [{"content": "b" * size, "revision": seen} for size, seen in ((100, 1), (101, 2), (50, 2))]
    saved = [ada.call("PATCH", f"/documents/{document}", json=text).status_code for text in texts]
    assert saved == [200, 400, 200]
