"""Promotional codes at the app's doors: pricing, checkout, billing, the API, and how often one may guess."""

from typing import Any

import pytest
from flask import Flask

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.user import User
from app.payments.promotion_codes import SENTENCE
from tests.payments.conftest import CustomerClient, StripeScenario
from tests.payments.published import publish_all
from tests.support.people import CREDIT


@pytest.fixture
def codes(scenario: StripeScenario) -> None:
    rows: list[dict[str, Any]] = [
        {"code": "SAVE-20", "kind": "discount", "percent_bps": 2000, "duration": "repeating", "months": 3},
        {"code": "MORE", "kind": "bonus", "percent_bps": 1250},
        {"code": "GIFT", "kind": "gift", "gift_nanos": 300 * CREDIT},
    ]
    db.session.add_all(PromotionCode(**row) for row in rows)
    db.session.get_one(User, scenario.actor.user_id).email_verified_at = utcnow()
    db.session.commit()


@pytest.mark.usefixtures("codes")
def test_the_pricing_page_says_what_a_code_does_and_sells_with_it(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    visitor = customer.client.get("/pricing?code=save-20").text
    assert "SAVE-20: $16 instead of $20 for 3 months." in visitor
    assert "%26code%3DSAVE-20" in visitor
    page = customer.page("/pricing?code=More").text
    assert "MORE: 12.5% more, 625 credits." in page
    assert 'name="code" value="MORE"' in page
    plus = str(scenario.plan("Plus").id)
    assert "SAVE-20: $16" in customer.page(f"/billing/start?plan_id={plus}&code=SAVE-20").text
    sent = customer.form("/billing/plan", plan_id=plus, code="SAVE-20")
    scenario.sandbox.pay(sent.location.rsplit("/", 1)[1])
    scenario.deliver()
    assert (scenario.allowance, scenario.last(Payment).price_cents) == (10_000, 1600)
    assert "$4.00 off with SAVE-20" in customer.page("/billing").text
    assert "can&#39;t be used here" in customer.page("/pricing?code=SAVE-20").text


@pytest.mark.usefixtures("codes")
def test_a_gift_is_added_from_settings_and_everything_else_goes_to_the_prices(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    assert 'action="/billing/code"' in customer.page("/settings").text
    assert customer.form("/billing/code", code="more").location.endswith("/pricing?code=MORE")
    assert customer.form("/billing/code", code=" gift ").location.endswith("/billing")
    assert scenario.credits == 300
    customer.client.post(
        "/billing/code",
        data={"csrf_token": customer.token, "code": "GIFT"},
        headers={"Referer": "http://localhost/billing"},
    )
    assert SENTENCE.split(".")[0].replace("'", "&#39;") in customer.page("/billing").text


@pytest.mark.usefixtures("codes")
def test_programs_read_redeem_and_buy_with_codes(customer: CustomerClient, scenario: StripeScenario) -> None:
    shown = customer.json("GET", "/api/codes/more").json
    assert (shown["kind"], shown["percent"], len(shown["pack_ids"])) == ("bonus", "12.5", 3)
    assert customer.json("POST", "/api/codes", {"code": "gift"}).json["gift_credits"] == "300"
    wrong = [customer.json("POST", "/api/checkout", {"pack_id": "1", "code": code}) for code in ("GIFT", "what")]
    wrong += [customer.json("POST", "/api/codes", {"code": "MORE"}), customer.json("GET", "/api/codes/none")]
    assert {(answer.status_code, str(answer.json["errors"])) for answer in wrong} == {(400, str({"code": [SENTENCE]}))}
    customer.json("POST", "/api/checkout", {"pack_id": "1", "code": "more"})
    assert scenario.last(Payment).bonus_nanos == 625 * CREDIT


@pytest.mark.usefixtures("codes")
def test_guessing_codes_is_bounded(customer: CustomerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATELIMIT_ENABLED", "1")
    good = customer.json("GET", "/api/codes/MORE").status_code
    guesses = [customer.json("GET", f"/api/codes/GUESS-{number}").status_code for number in range(10)]
    assert (good, guesses) == (200, [400] * 10)
    assert customer.json("GET", "/api/codes/MORE").status_code == 429
    assert customer.page("/pricing?code=GUESS-10").status_code == 429
    as_text = {"content_type": "text/plain", "headers": {"Authorization": f"Bearer {customer.key}"}}
    assert customer.client.post("/api/codes", data='{"code": "GIFT"}', **as_text).status_code == 429


def test_a_first_plan_of_ones_own_is_sold_in_yen_with_a_launch_code_and_refunded(
    app: Flask, customer: CustomerClient, scenario: StripeScenario
) -> None:
    sell_a_plan_in_yen(app, scenario)
    assert "¥2,250 instead of ¥3,000" in customer.page("/pricing?code=Launch-25").text
    sent = customer.form("/billing/plan", plan_id=str(scenario.plan("Acme Writer").id), code="LAUNCH-25")
    scenario.sandbox.pay(sent.location.rsplit("/", 1)[1])
    scenario.deliver()
    payment = scenario.last(Payment)
    assert (payment.price_cents, payment.discount_cents, payment.currency) == (2250, 750, "jpy")
    assert "From a payment of ¥2,250, ¥750 off with LAUNCH-25" in customer.page("/billing/transactions").text
    shown = customer.page("/billing").text
    assert [text in shown for text in ("¥750 off with LAUNCH-25", "Visa ending in 4242", ">Invoice<")] == [True] * 3
    assert scenario.allowance == 9900
    scenario.refund(payment)
    assert "¥2,250 refunded" in customer.page("/billing").text
    assert scenario.allowance == 0


def sell_a_plan_in_yen(app: Flask, scenario: StripeScenario) -> None:
    """The four questions of `flask start`, and a code."""
    answers = "".join(f"{answer}\n" for answer in ("Acme Writer", "¥3,000", "50", "100"))
    done = app.test_cli_runner().invoke(args=["start", "--currency", "jpy", "--rate", "0.0066"], input=answers)
    assert "left" in done.output
    db.session.add(PromotionCode(code="LAUNCH-25", kind="discount", percent_bps=2500))
    db.session.commit()
    publish_all(scenario.sandbox.running.sandbox)
