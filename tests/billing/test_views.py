"""Billing's pages and JSON: buy, subscribe, change, cancel, auto-recharge, and who may."""

import re
from typing import Any

from app.extensions import db
from app.models.billing.payment import Payment
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.payments import auto_recharge
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support import people


def session_of(answer: Any) -> str:
    return str(answer.json["checkout_url"]).rsplit("/", 1)[1]


def test_a_pack_is_bought_over_json(customer: CustomerClient, scenario: StripeScenario) -> None:
    answer = customer.json("POST", "/api/checkout", {"pack_id": str(scenario.pack().id), "quantity": 2})
    scenario.sandbox.pay(session_of(answer))
    scenario.deliver()
    assert (answer.status_code, scenario.credits) == (201, 10000)


def test_price_and_amount_never_come_from_the_client(customer: CustomerClient, scenario: StripeScenario) -> None:
    cheap = {"pack_id": str(scenario.pack().id), "price_cents": 1, "worth_nanos": 10**15, "currency": "idr"}
    customer.json("POST", "/api/checkout", cheap)
    assert (scenario.last(Payment).price_cents, scenario.last(Payment).worth_nanos) == (1000, 5 * 10**9)


def test_a_purchase_of_nothing_is_invalid(customer: CustomerClient) -> None:
    quantities = [{"pack_id": "1", "quantity": quantity} for quantity in (0, 101, "2")]
    for sent in ({}, {"pack_id": "999"}, {"pack_id": []}, *quantities):
        assert customer.json("POST", "/api/checkout", sent).json["code"] == "invalid_request", sent


def test_a_subscription_lives_its_life_over_json(customer: CustomerClient, scenario: StripeScenario) -> None:
    answer = customer.json("POST", "/api/subscription", {"plan_id": str(scenario.plan("Plus").id)})
    scenario.sandbox.pay(session_of(answer))
    scenario.deliver()
    changed = customer.json("PATCH", "/api/subscription", {"plan_id": str(scenario.plan("Pro").id)}).json
    again = customer.json("POST", "/api/subscription", {"plan_id": str(scenario.plan("Pro").id)})
    down = customer.json("PATCH", "/api/subscription", {"plan_id": str(scenario.plan("Starter").id)}).json
    ended = customer.json("DELETE", "/api/subscription").json
    kept = customer.json("POST", "/api/subscription/resume").json
    assert answer.status_code == 201
    assert (again.status_code, again.json["code"]) == (409, "already_subscribed")
    assert (changed["plan"]["name"], down["pending_plan"]["name"]) == ("Pro", "Starter")
    assert (ended["cancel_at_period_end"], ended["pending_plan"]) == (True, None)
    assert (kept["cancel_at_period_end"], kept["status"]) == (False, "active")


def test_a_free_plan_is_chosen_at_once(customer: CustomerClient, scenario: StripeScenario) -> None:
    answer = customer.json("POST", "/api/subscription", {"plan_id": scenario.plan("Free").id})
    assert (answer.status_code, answer.json["plan"]["name"], answer.json["status"]) == (200, "Free", "none")


def test_a_plan_that_is_no_longer_sold_cannot_be_chosen(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.plan("Plus").status = "legacy"
    scenario.commit()
    answer = customer.json("POST", "/api/subscription", {"plan_id": str(scenario.plan("Plus").id)})
    assert answer.status_code == 400


def test_a_change_is_shown_before_the_click_and_a_cancel_is_undone_by_forms(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    scenario.subscribe("Plus")
    shown = customer.json("POST", "/api/subscription/preview", {"plan_id": str(scenario.plan("Pro").id)}).json
    page = customer.page(f"/billing/change/{scenario.plan('Pro').id}")
    assert shown["acts_now"]
    assert shown["due_cents"] in range(7990, 8001)
    assert int(shown["grows_nanos"]) in range(44_990 * 10**6, 45_000 * 10**6 + 1)
    assert "$80.00" in page.text or "$79.9" in page.text
    for path, is_ending in (("cancel", True), ("resume", False)):
        customer.form(f"/billing/{path}")
        assert (path, scenario.subscription.cancel_at_period_end) == (path, is_ending)

    scenario.account.kind = "team"
    scenario.commit()
    shown = customer.json("POST", "/api/subscription/preview", {"plan_id": str(scenario.plan("Free").id)}).json
    assert (shown["acts_now"], shown["monthly_nanos"]) == (False, 0), "a team gets nothing for free"


def test_who_was_given_a_plan_is_told_no_price(customer: CustomerClient, scenario: StripeScenario) -> None:
    for plan, told in (("Plus", "no charge"), ("Free", "no monthly fee")):
        scenario.account.plan = scenario.plan(plan)
        scenario.commit()
        assert re.search(rf"{plan} <small>{told}", customer.page("/billing").text), plan


def test_auto_recharge_is_set_and_shown_over_json(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.buy_pack()
    options = {
        "enabled": True,
        "pack_id": str(scenario.pack().id),
        "quantity": 1,
        "threshold_credits": "10.5",
        "monthly_max_cents": 5000,
    }
    set_to = customer.json("PUT", "/api/auto-recharge", options).json
    shown = customer.json("GET", "/api/auto-recharge").json
    off = customer.json("PUT", "/api/auto-recharge", {"enabled": False}).json
    assert set_to["setup_url"].startswith(scenario.sandbox.url)
    assert (shown["threshold_credits"], shown["pause_reason"], shown["month_total_cents"]) == (
        "10.5",
        "no_card",
        0,
    )
    assert (off["enabled"], off["monthly_max_cents"]) == (False, 5000)


def test_settings_that_make_no_sense_are_invalid(customer: CustomerClient, scenario: StripeScenario) -> None:
    good = {"enabled": True, "pack_id": str(scenario.pack().id), "threshold_credits": "10"}
    good["monthly_max_cents"] = 5000
    for bad in (
        {"threshold_credits": "x"}, {"threshold_credits": "-1"}, {"threshold_credits": "NaN"}, {"pack_id": "77"},
        {"monthly_max_cents": 1}, {"monthly_max_cents": "50"}, {"quantity": 0}, {"enabled": "yes"},
    ):  # fmt: skip
        assert customer.json("PUT", "/api/auto-recharge", good | bad).status_code == 400, bad


def test_the_return_page_waits_and_credits_before_any_webhook(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    path = f"/billing/return?session_id={scenario.begin_pack()}"
    assert "Waiting for your bank" in customer.page(path).text
    assert scenario.credits == 0
    scenario.sandbox.pay(path.rpartition("=")[2])
    assert "5,000 credits added" in customer.page(path).text
    scenario.deliver()
    assert scenario.kinds() == ["purchase"]


def test_the_return_page_says_that_the_bank_did_not_pay(customer: CustomerClient, scenario: StripeScenario) -> None:
    session_id = scenario.begin_pack()
    scenario.sandbox.pay(session_id, "fails_days_later")
    scenario.sandbox.advance(4 * 86400)
    assert "Your bank didn't pay" in customer.page(f"/billing/return?session_id={session_id}").text


def test_who_was_deleted_at_stripe_is_made_anew(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.begin_pack()
    for path in ("/billing/portal", "/billing/card"):
        before = scenario.account.stripe_customer_id
        scenario.sandbox.client.v1.customers.delete(before or "")
        assert customer.form(path).status_code == 303
        assert scenario.account.stripe_customer_id not in (None, before), path


def test_the_return_page_grants_nothing_of_another_account_and_knows_no_other_session(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    eve = StripeScenario(scenario.sandbox, "eve")
    session_id = eve.begin_pack()
    scenario.sandbox.pay(session_id)
    for named in (session_id, "cs_unknown"):
        assert customer.page(f"/billing/return?session_id={named}").status_code == 404
    assert (scenario.credits, eve.credits) == (0, 0)


def test_the_billing_page_shows_what_there_is(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.buy_pack()
    scenario.turn_on_recharge(below=10)
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    page = customer.page("/billing").text
    assert "Your last payment failed" in page
    assert scenario.subscription.pay_url in page
    assert "at most $50.00 a month" in page


def test_a_plan_with_a_hard_limit_is_offered_no_packs(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.account.plan = scenario.plan("Starter")
    scenario.commit()
    page = customer.page("/pricing").text
    assert ("Starter has a fixed limit" in page, "/billing#buy" in page) == (True, False)
    refused = customer.form("/billing/checkout", pack_id=scenario.pack().id).text.partition("<main")[2]
    assert "<h1>Starter doesn&#39;t allow extra credits</h1>" in refused
    assert '<p class="lead">Choose a plan that allows credit packs.</p>' in refused


def test_an_upgrade_that_waits_for_its_payment_can_be_paid_from_the_billing_page(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    scenario.subscribe("Plus")
    scenario.sandbox.control("card", payment_method=scenario.subscription.card_id, behaviour="decline")
    address = scenario.change("Pro")
    assert (scenario.subscription.status, scenario.account.plan.name) == ("active", "Plus")
    assert f'href="{address}">Pay now' in customer.page("/billing").text
    scenario.sandbox.post(address.removeprefix(scenario.sandbox.url) + "/pay", card="success")
    scenario.deliver()
    assert scenario.account.plan.name == "Pro"
    assert "Pay now" not in customer.page("/billing").text


def test_forms_lead_to_stripes_pages(customer: CustomerClient, scenario: StripeScenario) -> None:
    pack, plan = scenario.pack().id, scenario.plan("Plus").id
    answers = [
        customer.form("/billing/checkout", pack_id=pack),
        customer.form("/billing/plan", plan_id=plan),
        customer.form("/billing/portal"),
        customer.form("/billing/card"),
    ]
    assert [answer.status_code for answer in answers] == [303] * 4
    assert all(answer.location.startswith(scenario.sandbox.url) for answer in answers)


def test_the_form_of_auto_recharge_speaks_dollars(customer: CustomerClient, scenario: StripeScenario) -> None:
    form = {
        "pack_id": scenario.pack().id,
        "quantity": "1",
        "threshold_credits": "500",
        "monthly_max": "50.00",
    }
    customer.form("/billing/auto-recharge", enabled="1", **form)
    assert (scenario.settings.monthly_max_cents, scenario.settings.threshold_nanos) == (5000, 500 * 10**6)


def test_a_payment_is_confirmed_from_the_mail(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(card="authentication_always")
    auto_recharge.recharge(scenario.account_id)
    path = f"/billing/recharges/{scenario.recharges()[0].id}"
    assert "Your bank needs you to confirm" in customer.page(path).text
    bank = customer.form(path).location
    back = scenario.sandbox.post(bank.removeprefix(scenario.sandbox.url), outcome="complete").headers["Location"]
    assert "are on the account" in customer.page(back.removeprefix("http://127.0.0.1")).text


def test_members_are_led_to_no_page_of_billing(customer: CustomerClient, scenario: StripeScenario) -> None:
    bob = User(email="bob@example.com", name="Bob")
    bob.set_password(people.PASSWORD)
    db.session.add(Membership(account_id=scenario.account_id, user=bob, role="member"))
    db.session.commit()
    customer.sign_in("bob@example.com")
    assert 'href="/billing' not in customer.page("/pricing").text.partition("<main")[2]


def test_without_a_key_of_stripes_payments_are_not_set_up(customer: CustomerClient, scenario: StripeScenario) -> None:
    customer.client.application.config["STRIPE_SECRET_KEY"] = None
    answer = customer.json("POST", "/api/checkout", {"pack_id": str(scenario.pack().id)})
    assert (answer.status_code, answer.json["code"]) == (503, "payments_not_set_up")


def test_stripe_that_does_not_answer_is_said_so(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.sandbox.control("faults", fault="error_before", count=9)
    answer = customer.json("POST", "/api/checkout", {"pack_id": str(scenario.pack().id)})
    assert (answer.status_code, answer.json["code"]) == (503, "payment_unknown")
