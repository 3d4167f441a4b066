"""The bound of a request in a vendor's format: never below what any vendor counts, whatever stands in it."""

import base64
import zlib
from typing import Any

import pytest

from app.gateway.input_bound import MOST_MEDIA, measured
from app.gateway.pdf_pages import pages_of
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import InvalidRequest, Refusal
from tests.support.pictures import png

MODEL = AIModel(name="m", image_tokens=None, provider=ProviderAccount(kind="anthropic"))


def bound(content: Any, **fields: Any) -> int:
    return measured({"messages": [{"role": "user", "content": content}], **fields}, MODEL)[0]


def image(data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded}}


def document(data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": encoded},
    }


def test_every_byte_of_the_json_counts() -> None:
    assert bound("é" * 1000) >= 2000
    schema = {"name": "look", "input_schema": {"description": "x" * 5000}}
    assert bound("hello", tools=[schema]) >= 5000 + bound("hello")


def test_an_image_counts_by_its_size_and_not_by_its_bytes() -> None:
    small, large = bound([image(png(28, 28))]), bound([image(png(1568, 1568))])
    assert small < 500
    assert 3000 < large < 6000
    assert bound([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]) > 4000


@pytest.mark.parametrize(("detail", "is_original"), [("high", False), ("low", False), ("original", True), (None, True)])
def test_an_image_that_openai_may_see_as_it_is_counts_so(detail: str | None, is_original: bool) -> None:
    model = AIModel(name="m", provider=ProviderAccount(kind="openai"))
    in_chat = {"type": "image_url", "image_url": {"url": ELSEWHERE, "detail": detail}}
    for part in (in_chat, {"type": "input_image", "image_url": ELSEWHERE, "detail": detail}):
        most, _counted = measured({"input": [{"role": "user", "content": [part]}]}, model)
        assert (most > 12_000) == is_original


def test_an_image_in_a_tools_schema_is_text() -> None:
    hidden = {"type": "image", "source": {"type": "base64", "data": "x" * 50_000}}
    assert bound("hello", tools=[{"name": "look", "input_schema": hidden}]) > 50_000


@pytest.mark.parametrize("pages", [1, 7])
def test_each_page_of_a_document_counts_packed_or_open(pages: int) -> None:
    listed = b"".join(b"<< /Type /Page >>" for _ in range(pages))
    packed = b"<< /Type /ObjStm /Filter /FlateDecode >>\nstream\n" + zlib.compress(b"1 0 " + listed) + b"\nendstream"
    assert bound([document(b"%PDF-1.7 " + listed)]) >= pages * 5000
    assert bound([document(b"%PDF-1.7 " + packed)]) >= pages * 5000


TIGHT = b"BT /F1 1 Tf [" + b"(word \\) ) -2 " * 10_000 + b"] TJ <" + b"00 41" * 10_000 + b"> Tj ET"


@pytest.mark.parametrize("stream", [TIGHT, zlib.compress(TIGHT)], ids=["open", "deflated"])
def test_a_page_counts_by_its_text_where_it_holds_much(stream: bytes) -> None:
    page = b"%PDF-1.7\xff 1 0 obj << /Type /Page >> endobj 2 0 obj << "
    text = bound([document(page + b">> stream\r\n" + stream + b"\nendstream")])
    picture = bound([document(page + b"/Subtype /Image >> stream\r\n" + stream + b"\nendstream")])
    assert (picture < 10_000, text > 90_000) == (True, True)


def file_of(kind: str, data: bytes) -> list[dict[str, Any]]:
    address = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return [{"type": "file", "file": {"filename": "a", "file_data": address}}]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/pdf"])
def test_a_document_that_may_be_read_as_text_counts_all_of_it(kind: str) -> None:
    filed = b"%PDF-1.7 /Type /Page " + b"word " * 20_000
    assert bound(file_of(kind, filed)) > len(filed)
    inline = {"type": "base64", "media_type": kind, "data": base64.b64encode(filed).decode()}
    assert bound([{"type": "document", "source": inline}]) > len(filed)


def test_a_pdf_that_is_not_called_anything_is_one() -> None:
    data = base64.b64encode(b"%PDF-1.7\xff /Type /Page").decode()
    for file in ({"file_data": data}, {"file_data": data, "filename": "A.PDF"}):
        assert 4_000 < bound([{"type": "file", "file": file}]) < 10_000


def test_a_document_that_a_provider_would_unpack_is_refused() -> None:
    sheet = b"PK\3\4\x14\0" + zlib.compress(b"1," * 1_000_000)
    for kind in ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/csv", "application/pdf"):
        with pytest.raises(InvalidRequest, match="neither PDF nor text"):
            bound(file_of(kind, sheet))
    with pytest.raises(InvalidRequest, match="neither PDF nor text"):
        bound(file_of("text/plain", b"%PDF-1.7\xff /Type /Page"))


def test_what_is_kept_elsewhere_has_no_bound() -> None:
    for source in ({"type": "file", "file_id": "f"}, {"type": "url", "url": "https://example.com/a.pdf"}):
        with pytest.raises(Refusal, match="field_not_priced"):
            bound([{"type": "document", "source": source}])


ELSEWHERE = "https://example.com/a.png"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": ELSEWHERE, "data": "AAAA"}},
        {"type": "image_url", "image_url": {"url": ELSEWHERE}, "source": {"data": "AAAA"}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA", "url": ELSEWHERE}},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "file_id": "f"},
        {"type": "file", "file": {"file_data": "AAAA"}, "file_data": "AAAA"},
        {"image_url": {"url": ELSEWHERE}},
    ],
)
def test_what_a_provider_may_read_otherwise_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"twice|without a type"):
        bound([part])


@pytest.mark.parametrize("kind", ["video_url", "input_video", "document_url", "image_generation_call", "input_audio"])
def test_media_of_a_kind_that_nobody_prices_is_refused(kind: str) -> None:
    part = {"type": kind, kind: {"url": ELSEWHERE}}
    for said in ([part], [{"type": "tool_result", "content": [part]}]):
        with pytest.raises(Refusal, match="field_not_priced"):
            bound(said)
    with pytest.raises(Refusal, match="field_not_priced"):
        measured({"input": [{"type": "computer_call_output", "output": part}]}, MODEL)


def test_a_request_holds_so_many_images_at_most() -> None:
    one = {"type": "image_url", "image_url": {"url": "AAAA"}}
    assert bound([one] * MOST_MEDIA) > 0
    with pytest.raises(InvalidRequest, match="at most"):
        bound([one] * (MOST_MEDIA + 1))


def test_pages_before_a_stream_breaks_off_count() -> None:
    whole = zlib.compress(b"1 0 " + b"<< /Type /Page >>" * 3 + b" " * 200_000)
    assert pages_of(b"<< /ObjStm >>\nstream\n" + whole[:-4] + b"????\nendstream") == 3


PACKED = b"\nstream\r\n" + zlib.compress(b"5 0 6 20 << /Type/Page >> << /Type /Page>>") + b"\nendstream endobj "


@pytest.mark.parametrize(
    "written",
    [
        b"stream\n << /Type /ObjStm >>" + PACKED,
        b"<< /Type /ObjStm (stream\n) >>" + PACKED,
        b"<< /Type /ObjStm /Of %b >>" % (b" " * 9_000) + PACKED,
        b"<< /Type /Obj#53tm >>" + PACKED,
        b"<< /Type /ObjStm >> stream\n5 0 6 20 << /Type % so\n/Page >> << /Type/#50ag#65>> endstream",
        b"<< /Type /ObjStm >>" + PACKED + b"<< /Image >> stream\n" + zlib.compress(bytes(9_000_000)),
    ],
    ids=["stray stream", "in a string", "far away", "a mark in codes", "not packed", "beside a large image"],
)
def test_a_page_counts_however_it_is_written(written: bytes) -> None:
    assert pages_of(b"%PDF-1.7 " + written) == 2


@pytest.mark.parametrize(
    "hidden",
    [b"nothing packed", zlib.compress(b"\x02not as it is"), zlib.compress(b"1 0 " + bytes(9_000_000))],
    ids=["unknown", "transformed", "bomb"],
)
def test_what_hides_its_pages_is_refused(hidden: bytes) -> None:
    with pytest.raises(InvalidRequest, match="plain PDF"):
        pages_of(b"<< /Type /ObjStm >>\nstream\n" + hidden + b"\nendstream")
