"""What the gate says about money that is on its way or owed, and what rings for a recharge."""

import pytest

from app.payments import auto_recharge
from app.extensions import db
from app.models.base import utcnow
from app.models.metering.reservation import admit, reserve, settle
from app.models.catalog.price import AIModel
from app.models.billing.auto_recharge import Recharge
from app.models.metering.refusal import Refusal
from app.models.metering.account_state import Standing
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.payments.stripe_scenario import Till
from tests.support.people import CREDIT, model

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def refusal_of(till: Till) -> Refusal:
    with pytest.raises(Refusal) as refused:
        admit(till.caller)
    db.session.rollback()
    return refused.value


def test_while_a_recharge_is_being_paid_one_is_asked_to_wait(till: Till) -> None:
    till.turn_on_recharge()
    till.sandbox.control("faults", fault="error_before", path="/v1/payment_intents", method="POST", count=9)
    auto_recharge.recharge(till.account_id)
    refusal = refusal_of(till)
    assert (refusal.code, refusal.retry_after) == ("recharge_in_progress", 3)


def test_a_recharge_that_waits_for_its_owner_is_no_reason_to_wait(till: Till) -> None:
    till.turn_on_recharge(card="authentication_always")
    auto_recharge.recharge(till.account_id)
    assert refusal_of(till).code == "out_of_credits"


def test_a_declined_recharge_is_no_reason_to_wait(till: Till) -> None:
    till.turn_on_recharge(card="decline")
    auto_recharge.recharge(till.account_id)
    assert refusal_of(till).code == "out_of_credits"


def test_a_recharge_that_is_about_to_be_made_is_waited_for(till: Till) -> None:
    till.turn_on_recharge()
    assert refusal_of(till).code == "recharge_in_progress"


def test_an_unpaid_subscription_is_named_with_the_link_that_mends_it(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    till.use_allowance(10000)
    refusal = refusal_of(till)
    assert (refusal.code, refusal.facts["pay_url"]) == ("subscription_unpaid", till.subscription.pay_url)


def test_a_past_due_account_uses_what_is_left(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    assert admit(till.caller).allowance == 10000 * CREDIT


def test_settling_below_the_threshold_rings_and_above_it_does_not(till: Till) -> None:
    model("gpt-test", kind="demo")
    till.buy_pack()
    till.turn_on_recharge(below=4990)
    rings = []
    for tokens in (100, 5000):
        offered, price = AIModel.to_sell("gpt-test", utcnow())
        asked = Prompt(offered.name, (PromptMessage("user", "hello"),), 8000)
        held = reserve(till.caller, asked, price)
        receipt = settle(held, TokenUsage(uncached_input=10, output=tokens, source="reported"), "done")
        db.session.commit()
        rings.append(receipt.needs_recharge)
    assert rings == [False, True]


def test_an_account_without_auto_recharge_never_rings(till: Till) -> None:
    assert not Standing.of(till.account_id).needs_recharge


def test_a_pause_silences_the_bell(till: Till) -> None:
    till.turn_on_recharge()
    assert Standing.of(till.account_id).needs_recharge
    till.settings.pause("refund")
    till.commit()
    assert not Standing.of(till.account_id).needs_recharge
    assert db.session.query(Recharge).count() == 0
