"""Each of the seven operations: its price before, its charge, its receipt and the balance agree to the nano."""

from fractions import Fraction
from math import ceil
from typing import Any

import pytest

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import Heard, heard
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
TOLD = {"instructions": "Shorter", "revision": 1}
OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("draft", "/documents", {"instructions": "Write about ferries"}),
    ("chat", "/chats/{chat}/messages", {"content": "What is it about?", "document_id": "{document}"}),
    ("refine", "/documents/{document}/refine", TOLD),
    ("refine_selection", "/documents/{document}/refine-selection", TOLD | {"start": 0, "end": 9}),
    ("repurpose", "/documents/{document}/repurpose", {"kind": "mail", "instructions": ""}),
    ("image_prompt", "/documents/{document}/image-prompt", {"start": 0, "end": 9, "revision": 1}),
    ("image", "/images", {"prompt": "A fish", "model": "demo-painter", "n": 2, "document_id": "{document}"}),
]


def test_every_operation_is_charged_as_its_receipt_says(
    ada: Door, document: str, session: Database, provider: ProviderServer
) -> None:
    provider.configure(text="Drei Hände 🐠 and some more", cached=7)
    places = {"document": document, "chat": ada.new_chat()}
    for name, path, asked in OPERATIONS:
        body = {key: value.format(**places) if isinstance(value, str) else value for key, value in asked.items()}
        what = {"chat_id": places["chat"], "model": "gpt-test"} if name == "chat" else {"operation": name}
        about = {"document_id": document} if "{document}" in path else {}
        told = ada.call("POST", "/estimate", json=body | what | about).json["ceiling_nanos"]
        before = ada.balance()["credits_nanos"]
        answer = ada.call("POST", path.format(**places), json=body | {"max_cost_nanos": told})
        assert answer.status_code == 200, (name, answer.text)
        check_receipt(ada, session, name, told, heard(answer.data))
        assert before - ada.balance()["credits_nanos"] == heard(answer.data).end["cost_nanos"]
    assert list(audit()) == []
    assert audit_calls().all() == []


def check_receipt(ada: Door, session: Database, name: str, told: int, answer: Heard) -> None:
    session.rollback()
    call = session.get_one(Usage, int(answer.end["call_id"]))
    receipt = ada.call("GET", f"/usage/calls/{call.id}").json
    lines = sum(Fraction(line["quantity"] * line["price_nanos"], line["per"]) for line in receipt["lines"])
    assert (call.operation, call.state, receipt["operation"]) == (name, "settled", name)
    assert answer.end["cost_nanos"] == receipt["cost_nanos"] == call.paid_nanos == ceil(lines) > 0, name
    assert call.paid_nanos <= call.reserved_nanos == answer.start["ceiling_nanos"] == told, name
    assert call.document_id is not None
