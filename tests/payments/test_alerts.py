"""Alerts that the owner chose: told once, by mail and on the pages."""

from app.payments import jobs
from app.extensions import db
from app.models.base import utcnow
from tests.payments.conftest import Desk
from tests.payments.stripe_scenario import Till


def test_the_owner_is_told_once_when_the_balance_is_low(desk: Desk, till: Till) -> None:
    till.buy_pack()
    desk.form("/billing/alert", low_balance_credits="6000")
    for _ in range(2):
        jobs.tell_alerts(till.account_id)
    assert till.mails().count("low_balance") == 1
    desk.form("/billing/alert", low_balance_credits="")
    assert till.account.alert_below_nanos is None


def test_a_used_up_day_is_told_by_mail_and_on_every_page_where_it_was_chosen(desk: Desk, till: Till) -> None:
    account = till.account
    account.plan.daily_limit_nanos = account.day_used_nanos = 50 * 10**6
    account.day = utcnow().date()
    db.session.commit()
    assert 'data-alert="daily_limit"' not in desk.client.get("/settings").text
    desk.form("/billing/alert", daily_limit="on")
    for _ in range(2):
        jobs.tell_alerts(till.account_id)
    assert till.mails().count("daily_limit") == 1
    assert 'data-alert="daily_limit"' in desk.client.get("/settings").text
    desk.form("/billing/alert")
    assert till.account.alerts_daily_limit is False
