"""Buying by form: faults at their fields, what was chosen before signing up, a change that waits and is undone."""

import re

import pytest

from app.web.numbers import exact
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario

FROM_BILLING = {"Referer": "http://localhost/billing"}
RECHARGE = {"enabled": "1", "quantity": "2", "threshold_credits": "500", "monthly_max": "50.00"}


def send(customer: CustomerClient, path: str, **fields: str) -> str:
    """The page that one is on after sending a form of the billing page."""
    customer.page("/billing")
    sent = {"csrf_token": customer.token} | fields
    answer = customer.client.post(path, data=sent, headers=FROM_BILLING, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


FAULTS = [
    ("/billing/auto-recharge", RECHARGE | {"threshold_credits": "abc"}, "Enter a number, such as 20"),
    ("/billing/auto-recharge", RECHARGE | {"monthly_max": "5"}, "less than one recharge costs"),
    ("/billing/alert", {"low_balance_credits": "abc"}, "Enter a number, such as 20"),
    ("/billing/alert", {"low_balance_credits": "-5"}, "Must be from 0"),
]


def test_a_fault_is_at_its_field_and_what_was_typed_is_kept(customer: CustomerClient, scenario: StripeScenario) -> None:
    for path, fields, error in FAULTS:
        page = send(customer, path, **{"pack_id": str(scenario.pack().id)} | fields)
        assert error in page, fields
        assert 'aria-invalid="true"' in page
        assert all(f'value="{typed}"' in page for name, typed in fields.items() if name != "enabled")
        assert 'aria-invalid="true"' not in customer.page("/billing").text


@pytest.mark.parametrize(
    ("typed", "cents"),
    [("$20", 2000), ("1,000", 100_000), ("20,00", 2000), ("1,234.50", 123_450), (" 20 ", 2000)],
)
def test_money_is_read_as_people_write_it(typed: str, cents: int) -> None:
    assert exact(typed, 100) == cents


def test_what_was_chosen_before_signing_up_leads_to_its_checkout(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    plan, pack = scenario.plan("Plus"), scenario.pack()
    cards = customer.client.get("/pricing").text
    for query in (f"plan_id%3D{plan.id}", f"pack_id%3D{pack.id}"):
        assert f"/signup?next=/billing/start%3F{query}" in cards
    chosen = customer.page(f"/billing/start?plan_id={plan.id}").text
    assert f'name="plan_id" value="{plan.id}"' in chosen
    assert "data-go" in customer.page(f"/billing/start?pack_id={pack.id}").text
    assert customer.page("/billing/start?plan_id=999").status_code == 303


def test_who_has_a_plan_without_a_subscription_is_told_that_another_one_begins(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    scenario.account.plan = scenario.plan("Plus")
    scenario.commit()
    page = customer.page("/pricing").text
    assert (page.count("Starts when you pay."), page.count("Starts now, no card needed.")) == (3, 2)
    scenario.subscribe("Plus")
    page = customer.page("/pricing").text
    assert (page.count("You pay the difference"), page.count("Starts when your current period ends.")) == (2, 3)


def test_a_change_that_waits_is_shown_and_undone(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    page = send(customer, f"/billing/change/{scenario.plan('Starter').id}")
    assert "You&#39;ll move to Starter on" in page
    assert "Starter, 5,000 credits, $10" in page
    assert ">Undo</button>" in page
    page = send(customer, "/billing/resume")
    assert scenario.subscription.pending_plan is None
    assert "data-pending" not in page


def test_who_goes_back_after_a_change_is_told_that_it_was_made(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    scenario.subscribe("Plus")
    path = f"/billing/change/{scenario.plan('Pro').id}"
    send(customer, path)
    assert "You&#39;re already on Pro." in customer.client.get(path, follow_redirects=True).text


def test_who_has_a_former_version_of_a_plan_can_tell_it_from_the_new_one(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    scenario.subscribe("Plus")
    new = scenario.plan("Plus").new_version()
    new.price_cents = 2500
    scenario.commit()
    assert "You're on Plus for $20.00 a month. It's no longer sold" in customer.page("/pricing").text
    page = customer.page(f"/billing/change/{new.id}").text
    for told in ("From Plus for $20.00 to Plus for $25.00", "Change to the new Plus", "Keep your Plus"):
        assert told in page


def test_a_trial_is_not_welcomed_as_a_month(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.plan("Plus").trial_days = 6
    scenario.commit()
    subscription = scenario.subscribe("Plus")
    page = customer.page(f"/billing/return?session_id={subscription.stripe_session_id}").text
    assert re.search("You have 2,000 credits for your trial, until <time[^>]*>[^<]+</time>", page)


def test_a_plan_is_cancelled_with_a_reason_at_once_or_later(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    page = customer.page("/billing/cancel").text
    assert "Cancel Plus?" in page
    send(customer, "/billing/cancel", at_once="0", reason="price")
    assert (scenario.subscription.cancel_at_period_end, scenario.subscription.cancel_reason) == (
        True,
        "price",
    )
    send(customer, "/billing/cancel", at_once="1", reason="")
    assert scenario.subscription is None or scenario.subscription.status == "canceled"
