"""The mails about money: each has its text, with the figures and the way on, and comes as HTML too."""

import pytest
from flask import Flask
from sqlalchemy import select

from app import mailer
from app.extensions import db
from app.models.operations.outbox import OutgoingMail
from tests.payments.stripe_scenario import StripeScenario
from tests.support.mailbox import Mailbox, body_of


def sent(app: Flask, scenario: StripeScenario, mailbox: Mailbox) -> list[str]:
    """The texts of everything posted, delivered to the mail server."""
    scenario.commit()
    for mail_id in db.session.scalars(select(OutgoingMail.id).order_by(OutgoingMail.id)).all():
        mailer.deliver(mail_id)
    return [body_of(one) for one in mailbox.mails]


def test_a_receipt_names_amount_and_credits(app: Flask, scenario: StripeScenario, mailbox: Mailbox) -> None:
    scenario.buy_pack()
    text = sent(app, scenario, mailbox)[0]
    assert "$10.00" in text
    assert "5,000 credits" in text


def test_a_link_is_a_button_with_words_of_its_own(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    scenario.buy_pack()
    text = sent(app, scenario, mailbox)[0]
    [html] = [part for part in mailbox.mails[0].walk() if part.get_content_type() == "text/html"]
    assert f"Open billing: {app.config['BASE_URL']}/billing" in text
    assert ">Open billing</a>" in html.get_payload(decode=True).decode()


def test_a_failed_payment_has_the_link_that_mends_it(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    assert scenario.subscription.pay_url in sent(app, scenario, mailbox)[-1]


def test_an_authentication_has_the_link_to_confirm(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox
) -> None:
    scenario.turn_on_recharge(card="authentication_always")
    scenario.work()
    assert f"/billing/recharges/{scenario.recharges()[0].id}" in sent(app, scenario, mailbox)[-1]


@pytest.mark.parametrize(
    "template",
    ["receipt", "payment_failed", "authentication_needed", "recharge_done", "recharge_declined", "recharge_paused",
     "recharge_limit", "trial_ends", "plan_changed", "subscription_cancelled", "subscription_ended", "refund",
     "dispute", "payment_parked", "low_balance", "daily_limit"],
)  # fmt: skip
def test_every_mail_has_a_subject_and_two_forms(
    app: Flask, scenario: StripeScenario, mailbox: Mailbox, template: str
) -> None:
    mailer.post(
        f"test:{template}", "ada@example.com", template, amount="$1.00", what="a pack", why="Because."
    )
    assert sent(app, scenario, mailbox)
    told = mailbox.mails[-1]
    assert told["Subject"].strip()
    assert {part.get_content_type() for part in told.walk()} >= {"text/plain", "text/html"}
