"""What every answer carries: a strict policy, and headers that keep browsers from guessing. security.md 13, 14, 25."""

import re
from fnmatch import fnmatch

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.db.types import Base
from app.extensions import db
from tests.security.conftest import Teams
from tests.security.test_routes import address, rules

SCRIPT = re.compile(r"<script(?![^>]*\bnonce=)[^>]*>|\son\w+\s*=|javascript:", re.IGNORECASE)
NONCE = re.compile(r"'nonce-([\w-]{20,})'")


def test_no_request_is_sent_back_as_it_came(app: Flask) -> None:
    assert {app.test_client().open(path, method="TRACE").status_code for path in ("/", "/api/balance")} == {405}


def everything_at_rest() -> dict[str, list[tuple[object, ...]]]:
    db.session.rollback()
    return {
        table.name: sorted(map(tuple, db.session.execute(table.select())), key=repr)
        for table in Base.metadata.sorted_tables
    }


def test_every_answer_has_a_strict_policy_and_its_headers_and_looking_changes_nothing(
    app: Flask, adas: dict[str, int], team_of: Teams
) -> None:
    """But for the month's allowance, which is found out at the gate and has been given here."""
    ada, nonces = team_of.browsers["ada"], set()
    ada.get("/chat")
    before = everything_at_rest()
    for method, rule in rules(app):
        if method == "GET":
            answer = ada.get(address(rule, adas | {"token": "made-up"}))
            assert answer.status_code < 500, (rule, answer.text[:300])
            check_headers(rule, answer)
            nonces.update(NONCE.findall(answer.headers["Content-Security-Policy"]))
    assert len(nonces) > len(rules(app)) // 4
    assert everything_at_rest() == before


def check_headers(rule: str, answer: TestResponse) -> None:
    headers = answer.headers
    policy = dict((part + " ").split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "same-origin"), rule
    assert rule.startswith("/static") or headers["Cache-Control"] == "no-store", rule
    assert headers.get("Access-Control-Allow-Origin") == ("*" if rule.startswith("/v1/") else None), rule
    assert "Access-Control-Allow-Credentials" not in headers, rule
    is_text = answer.mimetype.startswith("text/")
    assert not is_text or answer.content_type.endswith("charset=utf-8"), (rule, answer.content_type)
    if answer.mimetype == "text/html":
        assert policy["frame-ancestors"].strip() == "'none'", rule
        assert policy["form-action"].split()[0] == policy["default-src"].strip() == "'self'", rule
        assert "unsafe" not in policy["script-src"], rule
        assert not SCRIPT.search(answer.text), (rule, SCRIPT.search(answer.text))


@pytest.mark.parametrize("host", ["checkout", "billing", "invoice", "pay", "hooks"])
def test_a_form_may_lead_to_each_page_of_stripes(app: Flask, host: str) -> None:
    """To pay an upgrade's invoice, or to answer a bank, as much as to the checkout; and to nobody else's."""
    policy = app.test_client().get("/").headers["Content-Security-Policy"]
    allowed = policy.partition("form-action ")[2].partition(";")[0].split()
    leads = [
        any(fnmatch(f"https://{name}", one) for one in allowed) for name in (f"{host}.stripe.com", "stripe.com.example")
    ]
    assert leads == [True, False]
