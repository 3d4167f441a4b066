"""The mails about money: each has its text, with the figures and the way on, and comes as HTML too."""

import pytest
from flask import Flask
from sqlalchemy import select

from app import mailer
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.operations.outbox import OutgoingMail
from app.payments import jobs
from tests.payments.stripe_scenario import StripeScenario
from tests.support.mailbox import Mailbox, body_of


def sent(app: Flask, scenario: StripeScenario, mailbox: Mailbox) -> list[str]:
    """The texts of everything posted, delivered to the mail server."""
    scenario.commit()
    for mail_id in db.session.scalars(select(OutgoingMail.id).order_by(OutgoingMail.id)).all():
        mailer.deliver(mail_id)
    return [body_of(one) for one in mailbox.mails]


def test_a_receipt_names_amount_and_credits_and_its_link_is_a_button(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    scenario.buy_pack()
    text = sent(app, scenario, mailbox)[0]
    assert "$10.00" in text
    assert "5,000 credits" in text
    [html] = [part for part in mailbox.mails[0].walk() if part.get_content_type() == "text/html"]
    assert f"Open billing: {app.config['BASE_URL']}/billing" in text
    assert ">Open billing</a>" in html.get_payload(decode=True).decode()


def test_a_credit_note_is_no_refund_and_a_failed_payment_has_the_link_that_mends_it(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    scenario.subscribe("Plus", card="fails_later")
    note = {"invoice": scenario.last_payment("invoice").stripe_invoice_id or "", "credit_amount": 500}
    scenario.sandbox.client.v1.credit_notes.create(note)  # type: ignore[arg-type]
    scenario.deliver()
    text = sent(app, scenario, mailbox)[-1]
    assert "a credit note of $5.00" in text
    assert "refunded" not in text
    scenario.renew()
    assert scenario.subscription.pay_url in sent(app, scenario, mailbox)[-1]


def test_an_authentication_has_the_link_to_confirm(app: Flask, scenario: StripeScenario, mailbox: Mailbox) -> None:
    scenario.turn_on_recharge(card="authentication_always")
    scenario.work()
    assert f"/billing/recharges/{scenario.recharges()[0].id}" in sent(app, scenario, mailbox)[-1]


def test_a_scheduled_change_and_a_debit_on_its_way_are_told_once(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    scenario.subscribe("Pro")
    scenario.change("Starter")
    scenario.buy_pack(card="pays_later", cents=2500)
    texts = sent(app, scenario, mailbox)
    [moves] = [text for text in texts if "moves from Pro to Starter" in text]
    assert "5,000 credits a month, $10.00 a month" in " ".join(moves.split())
    [begun] = [text for text in texts if "takes a few business days" in text]
    assert "$25.00 for Medium pack" in " ".join(begun.split())
    assert "13,000 credits are added once the money arrives" in " ".join(begun.split())


@pytest.mark.parametrize(("plan", "sells"), [("Plus", True), ("Starter", False)])
def test_who_used_up_a_day_is_told_to_buy_credits_only_where_the_plan_allows_it(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox, plan: str, sells: bool
) -> None:
    account = scenario.account
    account.plan, account.alerts_daily_limit, account.day = scenario.plan(plan), True, utcnow().date()
    account.daily_limit_nanos = account.day_used_nanos = 50 * 10**6
    scenario.commit()
    jobs.tell_alerts(scenario.account_id)
    [text] = sent(app, scenario, mailbox)
    assert ("Credits you buy work right away" in " ".join(text.split())) == sells


MONEY = (
    "receipt", "payment_failed", "authentication_needed", "recharge_done", "recharge_declined", "recharge_paused",
    "recharge_limit", "trial_ends", "plan_changed", "plan_change_scheduled", "debit_begun", "debit_failed",
    "subscription_cancelled",
    "subscription_ended", "refund", "dispute", "payment_parked", "low_balance", "daily_limit", "window_limit",
    "welcome",
)  # fmt: skip


def test_every_mail_has_a_subject_a_foot_two_forms_and_one_who_answers(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    Setting.put("support_email", "help@example.com")
    for template in MONEY:
        mailer.post(f"test:{template}", "ada@example.com", template, amount="$1.00", account_name="Ada's")
    texts = sent(app, scenario, mailbox)
    assert len(texts) == len(MONEY)
    for mail, text in zip(mailbox.mails, texts, strict=True):
        assert mail["Subject"].strip()
        assert mail["Reply-To"] == "help@example.com"
        assert "You're getting this email because you manage the account Ada's" in " ".join(text.split())
        assert {part.get_content_type() for part in mail.walk()} >= {"text/plain", "text/html"}
