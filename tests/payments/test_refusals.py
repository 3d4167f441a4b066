"""What the gate says about money that is on its way or owed, and what rings for a recharge."""

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.auto_recharge import Recharge
from app.models.catalog.ai_model import AIModel
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import admit, settle
from app.payments import auto_recharge
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.payments.stripe_scenario import StripeScenario
from tests.support.calls import reserve
from tests.support.people import CREDIT, model

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))


def refusal_of(scenario: StripeScenario) -> Refusal:
    with pytest.raises(Refusal) as refused:
        admit(scenario.actor)
    db.session.rollback()
    return refused.value


def test_while_a_recharge_is_being_paid_one_is_asked_to_wait(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge()
    scenario.sandbox.control("faults", fault="error_before", path="/v1/payment_intents", method="POST", count=9)
    auto_recharge.recharge(scenario.account_id)
    refusal = refusal_of(scenario)
    assert (refusal.code, refusal.retry_after) == ("recharge_in_progress", 3)


def test_a_recharge_that_waits_for_its_owner_is_no_reason_to_wait(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(card="authentication_always")
    auto_recharge.recharge(scenario.account_id)
    assert refusal_of(scenario).code == "out_of_credits"


def test_a_declined_recharge_is_no_reason_to_wait(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge(card="decline")
    auto_recharge.recharge(scenario.account_id)
    assert refusal_of(scenario).code == "out_of_credits"


def test_a_recharge_that_is_about_to_be_made_is_waited_for(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge()
    assert refusal_of(scenario).code == "recharge_in_progress"


def test_past_due_one_uses_what_is_left_and_is_then_led_to_the_link_that_mends_it(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    assert admit(scenario.actor).allowance == 10000 * CREDIT
    scenario.use_allowance(10000)
    refusal = refusal_of(scenario)
    assert (refusal.code, refusal.details["pay_url"]) == (
        "subscription_unpaid",
        scenario.subscription.pay_url,
    )


def test_settling_below_the_threshold_rings_and_above_it_does_not(scenario: StripeScenario) -> None:
    model("gpt-test", kind="demo")
    scenario.buy_pack()
    scenario.turn_on_recharge(below=4990)
    enqueued = []
    for tokens in (100, 5000):
        offered, price = AIModel.to_sell("gpt-test", utcnow())
        asked = Prompt(offered.name, (PromptMessage("user", "hello"),), 8000)
        held = reserve(scenario.actor, asked, price)
        receipt = settle(held, TokenUsage(uncached_input=10, output=tokens, source="reported"), "done")
        db.session.commit()
        enqueued.append(receipt.needs_recharge)
    assert enqueued == [False, True]


def test_an_account_without_auto_recharge_never_rings(scenario: StripeScenario) -> None:
    assert not AccountState.load(scenario.account_id).needs_recharge


def test_a_pause_silences_the_bell(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge()
    assert AccountState.load(scenario.account_id).needs_recharge
    scenario.settings.pause("refund")
    scenario.commit()
    assert not AccountState.load(scenario.account_id).needs_recharge
    assert db.session.query(Recharge).count() == 0
