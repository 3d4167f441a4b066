"""Billing's pages and JSON: buy, subscribe, change, cancel, auto-recharge, and who may."""

from typing import Any

import pytest

from app.payments import auto_recharge
from app.extensions import db
from app.models.identity.membership import Membership
from app.models.billing.payment import Payment
from app.models.identity.user import User
from tests.payments.conftest import Desk
from tests.payments.stripe_scenario import Till
from tests.support import people

PAGES = ["/billing", "/billing/return?session_id=x", "/billing/change/3", "/billing/recharges/1"]
FORMS = [
    "/billing/plan",
    "/billing/checkout",
    "/billing/auto-recharge",
    "/billing/portal",
    "/billing/card",
    "/billing/alert",
    "/billing/cancel",
    "/billing/resume",
    "/billing/change/3",
    "/billing/recharges/1",
]
CALLS = [
    ("GET", "/api/subscription"),
    ("POST", "/api/subscription"),
    ("PATCH", "/api/subscription"),
    ("DELETE", "/api/subscription"),
    ("POST", "/api/checkout"),
    ("GET", "/api/auto-recharge"),
    ("PUT", "/api/auto-recharge"),
    ("POST", "/api/subscription/resume"),
    ("POST", "/api/subscription/preview"),
]


def session_of(answer: Any) -> str:
    return str(answer.json["checkout_url"]).rsplit("/", 1)[1]


def member(till: Till) -> str:
    """The key of a member of ada's account who is neither owner nor admin."""
    bob = User(email="bob@example.com", name="Bob")
    bob.set_password(people.PASSWORD)
    db.session.add(bob)
    db.session.flush()
    db.session.add(Membership(account_id=till.account_id, user_id=bob.id, role="member"))
    _, secret = people.ApiKey.make(till.account_id, bob.id, "bob")
    db.session.commit()
    return secret


def test_a_pack_is_bought_over_json(desk: Desk, till: Till) -> None:
    answer = desk.json("POST", "/api/checkout", {"pack_id": str(till.pack().id), "quantity": 2})
    till.sandbox.pay(session_of(answer))
    till.deliver()
    assert (answer.status_code, till.credits) == (201, 10000)


def test_price_and_amount_never_come_from_the_client(desk: Desk, till: Till) -> None:
    cheap = {"pack_id": str(till.pack().id), "price_cents": 1, "worth_nanos": 10**15, "currency": "idr"}
    desk.json("POST", "/api/checkout", cheap)
    assert (till.last(Payment).price_cents, till.last(Payment).worth_nanos) == (1000, 5 * 10**9)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"pack_id": "999"},
        {"pack_id": []},
        {"pack_id": "1", "quantity": 0},
        {"pack_id": "1", "quantity": 101},
        {"pack_id": "1", "quantity": "2"},
    ],
)
def test_a_purchase_of_nothing_is_invalid(desk: Desk, till: Till, sent: Any) -> None:
    assert desk.json("POST", "/api/checkout", sent).json["code"] == "invalid_request"


def test_a_subscription_lives_its_life_over_json(desk: Desk, till: Till) -> None:
    answer = desk.json("POST", "/api/subscription", {"plan_id": str(till.plan("Plus").id)})
    till.sandbox.pay(session_of(answer))
    till.deliver()
    changed = desk.json("PATCH", "/api/subscription", {"plan_id": str(till.plan("Pro").id)}).json
    down = desk.json("PATCH", "/api/subscription", {"plan_id": str(till.plan("Starter").id)}).json
    ended = desk.json("DELETE", "/api/subscription").json
    kept = desk.json("POST", "/api/subscription/resume").json
    assert answer.status_code == 201
    assert (changed["plan"]["name"], down["pending_plan"]["name"]) == ("Pro", "Starter")
    assert (ended["cancel_at_period_end"], ended["pending_plan"]) == (True, None)
    assert (kept["cancel_at_period_end"], kept["status"]) == (False, "active")


def test_a_free_plan_is_chosen_at_once(desk: Desk, till: Till) -> None:
    answer = desk.json("POST", "/api/subscription", {"plan_id": till.plan("Free").id})
    assert (answer.status_code, answer.json["plan"]["name"], answer.json["status"]) == (200, "Free", "none")


def test_a_second_subscription_answers_already_subscribed(desk: Desk, till: Till) -> None:
    till.subscribe("Plus")
    answer = desk.json("POST", "/api/subscription", {"plan_id": str(till.plan("Pro").id)})
    assert (answer.status_code, answer.json["code"]) == (409, "already_subscribed")


def test_a_plan_that_is_no_longer_sold_cannot_be_chosen(desk: Desk, till: Till) -> None:
    till.plan("Plus").status = "legacy"
    till.commit()
    answer = desk.json("POST", "/api/subscription", {"plan_id": str(till.plan("Plus").id)})
    assert answer.status_code == 400


def test_a_change_is_shown_before_the_click(desk: Desk, till: Till) -> None:
    till.subscribe("Plus")
    shown = desk.json("POST", "/api/subscription/preview", {"plan_id": str(till.plan("Pro").id)}).json
    page = desk.page(f"/billing/change/{till.plan('Pro').id}")
    assert shown["acts_now"]
    assert shown["due_cents"] in range(7990, 8001)
    assert int(shown["grows_nanos"]) in range(44_990 * 10**6, 45_000 * 10**6 + 1)
    assert "$80.00" in page.text or "$79.9" in page.text


def test_auto_recharge_is_set_and_shown_over_json(desk: Desk, till: Till) -> None:
    till.buy_pack()
    wish = {
        "enabled": True,
        "pack_id": str(till.pack().id),
        "quantity": 1,
        "threshold_credits": "10.5",
        "monthly_max_cents": 5000,
    }
    set_to = desk.json("PUT", "/api/auto-recharge", wish).json
    shown = desk.json("GET", "/api/auto-recharge").json
    off = desk.json("PUT", "/api/auto-recharge", {"enabled": False}).json
    assert set_to["setup_url"].startswith(till.sandbox.url)
    assert (shown["threshold_credits"], shown["paused_for"], shown["month_total_cents"]) == (
        "10.5",
        "no_card",
        0,
    )
    assert (off["enabled"], off["monthly_max_cents"]) == (False, 5000)


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold_credits": "x"},
        {"threshold_credits": "-1"},
        {"threshold_credits": "NaN"},
        {"monthly_max_cents": 1},
        {"monthly_max_cents": "50"},
        {"pack_id": "77"},
        {"quantity": 0},
        {"enabled": "yes"},
    ],
)
def test_settings_that_make_no_sense_are_invalid(desk: Desk, till: Till, bad: dict[str, Any]) -> None:
    good = {
        "enabled": True,
        "pack_id": str(till.pack().id),
        "threshold_credits": "10",
        "monthly_max_cents": 5000,
    }
    assert desk.json("PUT", "/api/auto-recharge", good | bad).status_code == 400


def test_the_return_page_credits_before_any_webhook(desk: Desk, till: Till) -> None:
    session_id = till.begin_pack()
    till.sandbox.pay(session_id)
    page = desk.page(f"/billing/return?session_id={session_id}")
    assert "5,000 credits are on the account" in page.text
    till.deliver()
    assert till.kinds() == ["purchase"]


def test_the_return_page_waits_while_nothing_is_paid(desk: Desk, till: Till) -> None:
    page = desk.page(f"/billing/return?session_id={till.begin_pack()}")
    assert "Waiting for the payment" in page.text
    assert till.credits == 0


def test_the_return_page_grants_nothing_of_another_account(desk: Desk, till: Till) -> None:
    eve = Till(till.sandbox, "eve")
    session_id = eve.begin_pack()
    till.sandbox.pay(session_id)
    assert desk.page(f"/billing/return?session_id={session_id}").status_code == 404
    assert (till.credits, eve.credits) == (0, 0)


def test_the_return_page_of_an_unknown_session_is_404(desk: Desk) -> None:
    assert desk.page("/billing/return?session_id=cs_unknown").status_code == 404


def test_the_billing_page_shows_what_there_is(desk: Desk, till: Till) -> None:
    till.buy_pack()
    till.turn_on_recharge(below=10)
    till.subscribe("Plus", card="fails_later")
    till.renew()
    page = desk.page("/billing").text
    assert "The last payment did not go through" in page
    assert till.subscription.pay_url in page
    assert "at most $50.00 a month" in page


def test_forms_lead_to_stripes_pages(desk: Desk, till: Till) -> None:
    pack, plan = till.pack().id, till.plan("Plus").id
    answers = [
        desk.form("/billing/checkout", pack_id=pack),
        desk.form("/billing/plan", plan_id=plan),
        desk.form("/billing/portal"),
        desk.form("/billing/card"),
    ]
    assert [answer.status_code for answer in answers] == [303] * 4
    assert all(answer.location.startswith(till.sandbox.url) for answer in answers)


def test_the_form_of_auto_recharge_speaks_dollars(desk: Desk, till: Till) -> None:
    form = {"pack_id": till.pack().id, "quantity": "1", "threshold_credits": "500", "monthly_max": "50.00"}
    desk.form("/billing/auto-recharge", enabled="1", **form)
    assert (till.settings.monthly_max_cents, till.settings.threshold_nanos) == (5000, 500 * 10**6)


def test_a_payment_is_confirmed_from_the_mail(desk: Desk, till: Till) -> None:
    till.turn_on_recharge(card="authentication_always")
    auto_recharge.recharge(till.account_id)
    path = f"/billing/recharges/{till.recharges()[0].id}"
    assert "Your bank asks for you" in desk.page(path).text
    bank = desk.form(path).location
    back = till.sandbox.post(bank.removeprefix(till.sandbox.url), outcome="complete").headers["Location"]
    assert "are on the account" in desk.page(back.removeprefix("http://127.0.0.1")).text


def test_a_subscription_is_cancelled_and_kept_by_forms(desk: Desk, till: Till) -> None:
    till.subscribe("Plus")
    desk.form("/billing/cancel")
    assert till.subscription.cancel_at_period_end
    desk.form("/billing/resume")
    assert not till.subscription.cancel_at_period_end


def test_members_see_no_billing(desk: Desk, till: Till) -> None:
    member(till)
    desk.sign_in("bob@example.com")
    assert {desk.page(path).status_code for path in PAGES} == {403}


def test_members_send_no_form_of_billing(desk: Desk, till: Till) -> None:
    member(till)
    desk.sign_in("bob@example.com")
    assert {desk.form(path).status_code for path in FORMS} == {403}


def test_members_make_no_call_of_billing(desk: Desk, till: Till) -> None:
    key = member(till)
    assert {desk.json(method, path, {}, key=key).status_code for method, path in CALLS} == {403}


def test_another_accounts_recharge_is_404(desk: Desk, till: Till) -> None:
    eve = Till(till.sandbox, "eve")
    eve.turn_on_recharge(card="authentication_always")
    auto_recharge.recharge(eve.account_id)
    assert desk.page(f"/billing/recharges/{eve.recharges()[0].id}").status_code == 404


def test_without_a_key_of_stripes_payments_are_not_set_up(desk: Desk, till: Till) -> None:
    desk.client.application.config["STRIPE_SECRET_KEY"] = None
    answer = desk.json("POST", "/api/checkout", {"pack_id": str(till.pack().id)})
    assert (answer.status_code, answer.json["code"]) == (503, "payments_not_set_up")


def test_stripe_that_does_not_answer_is_said_so(desk: Desk, till: Till) -> None:
    till.sandbox.control("faults", fault="error_before", count=9)
    answer = desk.json("POST", "/api/checkout", {"pack_id": str(till.pack().id)})
    assert (answer.status_code, answer.json["code"]) == (503, "payment_unknown")
