"""What an admin has Stripe do for an account, and what they are told came of it."""

import pytest
from flask import Flask

from tests.admin.conftest import AdminClient, sign_in
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import person


@pytest.fixture
def founder(scenario: StripeScenario, app: Flask) -> AdminClient:
    owner, browser = person("founder").owner, app.test_client()
    owner.admin_role = "owner"
    sign_in(browser, owner)
    return AdminClient(browser)


def told(founder: AdminClient, scenario: StripeScenario, act: str, **fields: object) -> str:
    """What stands on the account's page after an act."""
    data = {"csrf_token": founder.token(), "id": scenario.account.id, **fields}
    return str(founder.client.post(f"/admin/account/{act}/", data=data, follow_redirects=True).text)


def test_an_admin_is_told_what_became_of_a_change(scenario: StripeScenario, founder: AdminClient) -> None:
    scenario.subscribe("Plus")
    starter, pro = (scenario.plan(name).id for name in ("Starter", "Pro"))
    assert "This account moves to Starter on " in told(founder, scenario, "plan", plan=starter)
    assert scenario.account.plan.name == "Plus"
    assert "This account is now on Pro." in told(founder, scenario, "plan", plan=pro)
    assert scenario.account.plan.name == "Pro"
    assert "The subscription ends on " in told(founder, scenario, "cancel", when="end")
    assert scenario.subscription.cancel_at_period_end
    assert "The subscription has ended." in told(founder, scenario, "cancel", when="now")
    assert scenario.subscription is None


def test_an_admin_is_told_that_a_change_waits_for_its_invoice(scenario: StripeScenario, founder: AdminClient) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.sandbox.control("card", payment_method=scenario.subscription.card_id, behaviour="decline")
    assert "waits until its invoice is paid" in told(founder, scenario, "plan", plan=scenario.plan("Pro").id)
    assert scenario.account.plan.name == "Plus"
