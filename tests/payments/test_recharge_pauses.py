"""What pauses auto-recharge until its owner saves it again."""

from datetime import timedelta

import pytest

from app.extensions import db
from app.models.metering.refusal import Refusal
from tests.payments.stripe_scenario import StripeScenario
from tests.payments.test_auto_recharge import Travel, states, travel

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
__all__ = ["travel"]


def test_authentication_that_never_comes_ends_in_a_pause(scenario: StripeScenario, travel: Travel) -> None:
    scenario.turn_on_recharge(card="authentication_always")
    scenario.work()
    travel(timedelta(hours=25))
    scenario.work()
    assert (states(scenario), scenario.settings.pause_reason) == (["canceled"], "authentication")


@pytest.mark.parametrize("action", ["refund", "dispute"])
def test_a_refund_or_dispute_of_any_payment_pauses_it(scenario: StripeScenario, action: str) -> None:
    payment = scenario.buy_pack(2500)
    scenario.turn_on_recharge(below=1)
    getattr(scenario, action)(payment)
    assert scenario.settings.pause_reason == action


def test_a_customer_deleted_at_stripe_pauses_it(scenario: StripeScenario) -> None:
    """That a removed card does is told in `test_webhook_handlers.py`."""
    scenario.turn_on_recharge(below=1)
    scenario.sandbox.control("customer", customer=scenario.account.stripe_customer_id, action="delete")
    scenario.deliver()
    assert (scenario.settings.pause_reason, scenario.account.stripe_customer_id) == ("card_removed", None)
    assert scenario.buy_pack().state == "paid"


def test_a_plan_without_packs_and_a_retired_pack_pause_it(scenario: StripeScenario) -> None:
    scenario.turn_on_recharge()
    scenario.account.plan = scenario.plan("Starter")
    db.session.commit()
    scenario.work()
    assert (scenario.settings.pause_reason, states(scenario)) == ("packs_not_allowed", [])
    with pytest.raises(Refusal, match="packs_not_allowed"):
        scenario.turn_on_recharge()
    db.session.rollback()
    scenario.account.plan = scenario.plan("Plus")
    db.session.commit()
    scenario.turn_on_recharge()
    scenario.pack().status = "legacy"
    db.session.commit()
    scenario.work()
    assert (scenario.settings.pause_reason, states(scenario)) == ("pack_gone", [])
