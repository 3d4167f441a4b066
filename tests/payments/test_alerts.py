"""Alerts that the owner chose: told once, by mail and on the pages."""

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.payments import jobs
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario


def test_the_owner_is_told_once_when_the_balance_is_low(customer: CustomerClient, scenario: StripeScenario) -> None:
    scenario.buy_pack()
    customer.form("/billing/alert", low_balance_credits="6000")
    for _ in range(2):
        jobs.tell_alerts(scenario.account_id)
    assert scenario.mails().count("low_balance") == 1
    customer.form("/billing/alert", low_balance_credits="")
    assert scenario.account.alert_below_nanos is None


def test_a_used_up_day_or_window_is_told_by_mail_and_on_every_page_where_it_was_chosen(
    customer: CustomerClient, scenario: StripeScenario
) -> None:
    account = scenario.account
    account.daily_limit_nanos = account.day_used_nanos = 50 * 10**6
    account.day = utcnow().date()
    db.session.commit()
    assert 'data-alert="daily_limit"' not in customer.client.get("/settings").text
    customer.form("/billing/alert", daily_limit="on")
    for _ in range(2):
        jobs.tell_alerts(scenario.account_id)
    assert scenario.mails().count("daily_limit") == 1
    assert 'data-alert="daily_limit"' in customer.client.get("/settings").text
    account.daily_limit_nanos, account.window_hours, account.window_limit_nanos = None, 5, 7 * 10**6
    account.window_start, account.window_used_nanos = utcnow(), 7 * 10**6
    db.session.commit()
    for _ in range(2):
        jobs.tell_alerts(scenario.account_id)
    assert scenario.mails().count("window_limit") == 1
    assert 'data-alert="window_limit"' in customer.client.get("/settings").text
    customer.form("/billing/alert")
    assert scenario.account.alerts_daily_limit is False


@pytest.mark.parametrize(("plan", "way"), [("Plus", "Buy credits"), ("Starter", "Change plan")])
def test_who_used_up_a_day_is_shown_to_credits_where_the_plan_allows_any_and_to_other_plans_elsewhere(
    customer: CustomerClient, scenario: StripeScenario, plan: str, way: str
) -> None:
    account = scenario.account
    account.plan, account.alerts_daily_limit, account.day = scenario.plan(plan), True, utcnow().date()
    account.daily_limit_nanos = account.day_used_nanos = 50 * 10**6
    scenario.commit()
    strip = customer.page("/settings").text.partition('data-alert="daily_limit"')[2].partition("</div>")[0]
    assert way in strip
