"""Files over JSON: put up, sent with a question, counted, shown again, kept by edits, gone with the chat."""

import base64
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.chat.attachment import MOST_UNSENT, Attachment
from app.models.chat.file_reader import OLD_OFFICE
from app.models.chat.file_text import LARGEST_FILE
from app.models.chat.picture import LARGEST_IMAGE
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database, files, people
from tests.support.people import heard
from tests.support.pictures import jpeg, png
from tests.support.provider_server import ProviderServer

PICTURE = png(640, 480)


@pytest.fixture
def ada(ada: Door, session: Database) -> Door:
    """ada, and a model that takes images."""
    session.query(AIModel).filter_by(name="gpt-test").one().takes_images = True
    people.model("blind-test")
    session.commit()
    return ada


def put_up(person: Door, content: bytes = PICTURE, name: str = "ferry.png") -> TestResponse:
    sent = {"name": name, "data": base64.b64encode(content).decode()}
    return person.call("POST", "/attachments", json=sent)


def id_of(person: Door, content: bytes = PICTURE, name: str = "ferry.png") -> str:
    answer = put_up(person, content, name)
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def parts(provider: ProviderServer) -> list[dict[str, object]]:
    return provider.last["body"]["messages"][-1]["content"]


def test_a_file_is_known_by_its_bytes_and_read_again(ada: Door) -> None:
    shown = put_up(ada, name="C:\\fotos\\ferry.exe").json
    answer = ada.call("GET", f"/attachments/{shown['id']}")

    assert shown == {
        "id": shown["id"], "url": f"/api/attachments/{shown['id']}", "name": "ferry.exe",
        "media_type": "image/png", "bytes": len(PICTURE), "width": 640, "height": 480, "excerpt": None,
    }  # fmt: skip
    assert (answer.data, answer.mimetype) == (PICTURE, "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_text_is_never_served_as_what_it_says_it_is(ada: Door) -> None:
    for text in ("<script>alert(1)</script>", '<svg onload="alert(1)"/>', "naïve\r\n\ttext\f"):
        answer = ada.call("GET", f"/attachments/{id_of(ada, text.encode(), 'page.html')}")

        assert (answer.mimetype, answer.text) == ("text/plain", text)
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_of_a_pdf_or_an_office_file_the_words_are_kept(ada: Door) -> None:
    rows = [["Pier", "time"], ["North", "09:40"]]
    for name, content, text in (
        ("a.pdf", files.pdf(["Ferry one", "Ferry two"]), "Ferry one\n\nFerry two"),
        ("a.docx", files.docx(["Ferries"], rows), "Ferries\nPier\ttime\nNorth\t09:40"),
        ("a.xlsx", files.xlsx([*rows, [2, 1.5]]), "# Ferries\nPier\ttime\nNorth\t09:40\n2\t1.5"),
        ("b.xlsx", files.misjudged(files.xlsx(rows)), "# Ferries\nPier\ttime\nNorth\t09:40"),
        ("a.txt", "Füße".encode("utf-16"), "Füße"),
        ("a.pptx", files.pptx(["First", "Second", "Third"]), "First\n\nSecond\n\nThird"),
    ):
        shown = put_up(ada, content, name).json
        assert (shown["name"], shown["media_type"], shown["excerpt"]) == (name, "text/plain", None)
        assert ada.call("GET", f"/attachments/{shown['id']}").text == text


def test_of_a_long_one_as_many_pages_go_as_fit_and_it_is_said(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    Setting.put("max_message_bytes", 1000)
    session.commit()
    shown = put_up(ada, files.pdf(["ferry " * 50] * 9), "plan.pdf").json
    ada.ask("When?", attachments=[shown["id"]])

    assert (shown["excerpt"], shown["bytes"]) == ("the first 3 of 9 pages", 3 * 300 + 4)
    assert provider.last["body"]["messages"][-1]["content"].startswith(
        "File plan.pdf (the first 3 of 9 pages):\n```\nferry ferry "
    )


REFUSED = (
    (b"%PDF-1.7\n\x00\x01", "is broken"), (b"PK\x03\x04 and so on", "is broken"),
    (b"%PDF-" + bytes(LARGEST_FILE), "7 MB"),
    (files.pdf(["Ferry"], password="secret"), "protected by a password"), (files.pdf([""]), "no text in it"),
    (files.zipped({"a.txt": b"x"}), "an image (PNG"), (OLD_OFFICE, "old Office format"),
    (b"\xff\xfe\x00", "an image (PNG"), (b" \n", "is empty"),
    (png(1, 1) + bytes(LARGEST_IMAGE), "3.75 MB"), (jpeg(8001, 2), "8,001 x 2 pixels"),
    (b"x" * 200_001, "200,000 bytes"), ("Füße".encode("cp1252"), "Save it as UTF-8"),
)  # fmt: skip


def test_what_cannot_be_sent_to_a_model_is_refused_by_name(ada: Door) -> None:
    for content, text in REFUSED:
        answer = put_up(ada, content)
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
        assert text in answer.json["errors"]["data"][0]


def test_base64_may_come_in_lines(ada: Door) -> None:
    sent = {"name": "ferry.png", "data": base64.encodebytes(PICTURE).decode()}
    assert ada.call("POST", "/attachments", json=sent).json["bytes"] == len(PICTURE)


def test_what_is_not_base64_is_refused(ada: Door) -> None:
    for wrong in ("%%%", "abc", "né=="):
        answer = ada.call("POST", "/attachments", json={"name": "x", "data": wrong})
        assert answer.json["errors"] == {"data": ["is not base64."]}


def test_an_account_has_so_much_room_for_files(ada: Door, session: Database) -> None:
    Setting.put("attachment_megabytes", 0)
    session.commit()
    assert "Delete a chat" in put_up(ada).json["errors"]["data"][0]


def test_files_that_nobody_sends_are_bounded_and_go_after_a_day(ada: Door, session: Database) -> None:
    ids = [id_of(ada) for _ in range(MOST_UNSENT)]
    assert "unsent files" in put_up(ada).json["errors"]["data"][0]

    session.query(Attachment).filter_by(id=int(ids[0])).one().created_at = utcnow() - timedelta(hours=25)
    session.flush()
    assert Attachment.erase_unsent() == 1
    session.commit()
    assert put_up(ada).status_code == 201


def test_an_image_and_a_text_go_with_the_question(ada: Door, provider: ProviderServer) -> None:
    chat, files = ada.new_chat(), [id_of(ada), id_of(ada, b"a = 1\n```\n", "a.py")]
    ada.ask("Which ferry?", chat=chat, attachments=files)
    image, text = parts(provider)
    shown = ada.call("GET", f"/chats/{chat}").json["messages"][0]

    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text["text"] == "File a.py:\n````\na = 1\n```\n\n````\n\nWhich ferry?"
    assert [(file["id"], file["name"]) for file in shown["attachments"]] == [
        (files[0], "ferry.png"), (files[1], "a.py"),
    ]  # fmt: skip


def test_files_are_in_the_estimate_and_the_ceiling(ada: Door, provider: ProviderServer) -> None:
    chat, files = ada.new_chat(), [id_of(ada), id_of(ada, b"word " * 1000, "words.txt")]
    sent = {"content": "hi", "model": "gpt-test", "chat_id": chat, "max_output_tokens": 300}
    bare = ada.call("POST", "/estimate", json=sent).json
    full = ada.call("POST", "/estimate", json=sent | {"attachments": files}).json
    provider.configure(tokens=300, input_tokens=6000)
    heard = ada.ask("hi", chat=chat, max_output_tokens=300, attachments=files)

    assert full["ceiling_nanos"] >= bare["ceiling_nanos"] + (5000 + 1445) * 2_500
    assert full["expected_nanos"] >= bare["expected_nanos"] + (1250 + 300) * 2_500
    assert heard.end["cost_nanos"] <= heard.start["ceiling_nanos"] == full["ceiling_nanos"]


def test_a_model_that_takes_no_images_is_not_asked(ada: Door, provider: ProviderServer, session: Database) -> None:
    answer = ada.send("hi", model="blind-test", attachments=[id_of(ada)])

    assert (answer.status_code, answer.json["code"]) == (400, "images_not_taken")
    assert "blind-test can't read images" in answer.json["detail"]
    assert (provider.count, session.query(Usage).count()) == (0, 0)


def test_it_is_told_of_earlier_images_in_words(ada: Door, provider: ProviderServer) -> None:
    chat = ada.new_chat()
    ada.ask("Which ferry?", chat=chat, attachments=[id_of(ada)])
    ada.ask("And now?", chat=chat, model="blind-test")

    assert provider.last["body"]["messages"][0]["content"] == (
        "(1 attached image cannot be shown to you here.)\n\nWhich ferry?"
    )


def test_earlier_images_are_sent_again_and_the_oldest_give_way(
    ada: Door, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.generation.prompt.MOST_IMAGE_BYTES", 2 * len(PICTURE))
    chat = ada.new_chat()
    for number in range(3):
        ada.ask(f"{number}?", chat=chat, attachments=[id_of(ada)])
    sent = [message["content"] for message in provider.last["body"]["messages"] if message["role"] == "user"]

    assert [type(content) for content in sent] == [str, list, list]


def test_answering_again_and_editing_keep_the_files(ada: Door, provider: ProviderServer) -> None:
    chat = ada.new_chat()
    first = ada.ask("Which?", chat=chat, attachments=[id_of(ada)])
    heard(ada.call("POST", f"/messages/{first.start['message_id']}/regenerate", json={}).data)
    again = parts(provider)
    heard(ada.call("PUT", f"/messages/{first.start['user_message_id']}", json={"content": "Which one?"}).data)
    edited = parts(provider)
    shown = ada.call("GET", f"/chats/{chat}").json["messages"][0]

    assert again[0] == edited[0]
    assert (again[1]["text"], edited[1]["text"]) == ("Which?", "Which one?")
    assert (shown["content"], len(shown["attachments"]), len(shown["versions"])) == ("Which one?", 1, 2)


def test_files_that_cannot_be_sent_are_refused(ada: Door) -> None:
    for wrong in ("7", [7], ["x"], [*map(str, range(6))], ["999"]):
        answer = ada.send("hi", attachments=wrong)
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["attachments"])


def test_a_file_is_sent_once(ada: Door) -> None:
    file = id_of(ada)
    ada.ask("hi", attachments=[file])
    assert ada.send("hi", attachments=[file]).json["errors"]["attachments"]


def test_files_go_with_their_chat(ada: Door, session: Database) -> None:
    chat, file = ada.new_chat(), id_of(ada)
    ada.ask("hi", chat=chat, attachments=[file])
    other = id_of(ada)
    ada.call("DELETE", f"/chats/{chat}")

    assert [str(kept.id) for kept in session.query(Attachment)] == [other]
    assert ada.call("GET", f"/attachments/{file}").status_code == 404
