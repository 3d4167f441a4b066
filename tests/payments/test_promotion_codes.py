"""Promotional codes from the form to the ledger: discounts, bonuses, gifts, and who may not have one."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.billing.redemption import Redemption
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.setting import Setting
from app.models.identity.user import User
from app.models.metering.refusal import InvalidRequest
from app.payments import jobs, promotion_codes
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def made(code: str = "LAUNCH-20", kind: str = "discount", **columns: Any) -> PromotionCode:
    if kind != "gift":
        columns = {"percent_bps": 2000} | columns
    promotion = PromotionCode(code=code, kind=kind, **columns)
    db.session.add(promotion)
    db.session.commit()
    return promotion


def discount_in_cents(code: str, cents: int, **columns: Any) -> PromotionCode:
    return made(code, percent_bps=None, amount_cents=cents, **columns)


def states() -> list[str]:
    db.session.expire_all()
    return [one.state for one in db.session.query(Redemption).order_by(Redemption.id)]


def redeemed(code: str = "LAUNCH-20") -> int:
    db.session.expire_all()
    return db.session.query(PromotionCode).filter_by(code=code).one().redeemed


def test_a_discount_pays_less_for_the_same_worth(scenario: StripeScenario) -> None:
    made()
    payment = scenario.buy_pack(code=" launch-20 ")
    assert (payment.price_cents, payment.discount_cents, payment.total_cents) == (800, 200, 800)
    assert (scenario.credits, states(), redeemed()) == (5000, ["used"], 1)
    scenario.refund(payment, 400)
    assert scenario.credits == 2500
    assert scenario.is_explained()


def test_a_bonus_pays_all_and_is_worth_more_by_an_entry_of_its_own(scenario: StripeScenario) -> None:
    made("MORE", "bonus", percent_bps=1000)
    payment = scenario.buy_pack(code="more")
    assert (payment.price_cents, scenario.credits) == (1000, 5500)
    assert scenario.entries() == [("purchase", 0, 5000), ("bonus", 0, 500)]
    scenario.refund(payment, 500)
    assert scenario.credits == 2750
    scenario.refund(payment, 500)
    assert scenario.credits == 0
    assert scenario.is_explained()


@pytest.mark.parametrize(("duration", "months"), [("once", None), ("repeating", 2)])
def test_a_discount_lasts_as_long_as_it_says_and_the_next_invoice_is_shown_with_it(
    scenario: StripeScenario, customer: CustomerClient, duration: str, months: int | None
) -> None:
    made(duration=duration, months=months)
    scenario.subscribe("Plus", code="LAUNCH-20")
    first = scenario.last_payment("invoice")
    assert (first.discount_cents, first.review_reason, states()) == (400, "", ["used"])
    paid, shown = [first.price_cents], []
    for _ in range(2):
        shown.append("$20.00 before your discount" in customer.page("/billing").text)
        scenario.renew()
        paid.append(scenario.last_payment("invoice").price_cents)
    discounted = months or 1
    assert paid == [1600] * discounted + [2000] * (3 - discounted)
    assert shown == [cents == 1600 for cents in paid[1:]]
    assert (scenario.allowance, scenario.kinds()) == (10_000, ["refill"] * 3)


def test_a_discount_of_one_plan_is_not_promised_of_another(scenario: StripeScenario, customer: CustomerClient) -> None:
    made(duration="forever", plan_ids=[str(scenario.plan("Plus").id)])
    scenario.subscribe("Plus", code="LAUNCH-20")
    pages = [customer.page(f"/billing/change/{scenario.plan('Starter').id}")]
    scenario.change("Starter")
    pages.append(customer.page("/billing"))
    assert ["before your discount" in page.text for page in pages] == [False, False]
    scenario.renew()
    assert scenario.last_payment("invoice").price_cents == 1000


def test_the_bonus_of_a_plan_comes_with_its_first_period(scenario: StripeScenario) -> None:
    made("MORE", "bonus", percent_bps=1000)
    scenario.subscribe("Plus", code="MORE")
    scenario.renew()
    assert (scenario.allowance, scenario.credits) == (10_000, 1000)
    first = db.session.query(Payment).filter_by(kind="invoice").order_by(Payment.id).first()
    assert first is not None
    assert (first.worth_nanos, first.bonus_nanos) == (11_000 * CREDIT, 1000 * CREDIT)
    scenario.refund(first)
    assert (scenario.allowance, scenario.credits) == (0, 0)
    assert scenario.is_explained()


def test_an_upgrade_under_a_discount_grows_by_the_worth(scenario: StripeScenario) -> None:
    made(duration="forever")
    scenario.subscribe("Plus", code="LAUNCH-20")
    scenario.change("Pro")
    whole = scenario.plan("Pro").allowance_nanos // CREDIT
    assert whole - 10 <= scenario.allowance <= whole
    assert scenario.is_explained()


def test_a_discount_for_ever_outlasts_a_change_at_the_periods_end(scenario: StripeScenario) -> None:
    made(duration="forever")
    scenario.subscribe("Pro", code="LAUNCH-20")
    scenario.change("Plus")
    scenario.renew()
    paid = scenario.last_payment("invoice")
    assert (scenario.account.plan.name, paid.price_cents, scenario.allowance) == ("Plus", 1600, 10_000)


def refused(scenario: StripeScenario, code: str, cents: int = 1000) -> str:
    with pytest.raises(InvalidRequest) as refusal:
        scenario.begin_pack(cents, code=code)
    return str(refusal.value.errors)


def test_unknown_used_and_not_for_this_are_one_sentence(scenario: StripeScenario) -> None:
    Setting.put("margin_floor", 1000)
    pack = scenario.pack(2500)
    codes = [
        made("USED", most_redemptions=1, redeemed=1),
        made("OTHER", pack_ids=[str(pack.id)]),
        made("OVER", ends_at=utcnow()),
        made("OFF", is_active=False),
        made("BELOW", percent_bps=4500),
        made("GIFT", "gift", gift_nanos=CREDIT),
    ]
    sentences = {refused(scenario, code) for code in ["UNKNOWN", "\u017fale", *(one.code for one in codes)]}
    assert sentences == {str({"code": [promotion_codes.SENTENCE]})}
    assert states() == []


def test_the_floor_holds_for_a_discount_and_a_bonus_to_the_cent(scenario: StripeScenario) -> None:
    discount_in_cents("CENT", 501)
    made("B100", "bonus", percent_bps=10_001)
    assert refused(scenario, "CENT") == refused(scenario, "B100")
    discount_in_cents("FITS", 500, once_per_account=False)
    assert scenario.buy_pack(code="FITS").price_cents == 500


def test_a_code_is_once_an_account_also_while_a_checkout_with_it_is_open(scenario: StripeScenario) -> None:
    made()
    first = scenario.begin_pack(code="LAUNCH-20")
    assert scenario.begin_pack(code="launch-20") == first
    second = scenario.begin_pack(2500, code="LAUNCH-20")
    assert scenario.sandbox.pay(first).status_code == 402
    assert (states(), redeemed()) == (["released", "held"], 1)
    scenario.sandbox.pay(second)
    scenario.deliver()
    assert refused(scenario, "LAUNCH-20")
    assert (states(), redeemed()) == (["released", "used"], 1)


def test_a_checkout_that_expires_gives_the_last_code_back(scenario: StripeScenario) -> None:
    made(most_redemptions=1)
    other = StripeScenario(scenario.sandbox, "bob")
    session_id = scenario.begin_plan("Plus", "LAUNCH-20")
    assert refused(other, "LAUNCH-20")
    scenario.sandbox.client.v1.checkout.sessions.expire(session_id)
    scenario.deliver()
    assert redeemed() == 0
    assert other.buy_pack(code="LAUNCH-20").price_cents == 800


def test_a_checkout_that_stripe_forgot_gives_its_code_back_after_a_day(scenario: StripeScenario) -> None:
    made(most_redemptions=1)
    session_id = scenario.begin_pack(code="LAUNCH-20")
    promotion_codes.release_stale()
    assert states() == ["held"]
    scenario.sandbox.running.sandbox.store.remove("checkout.session", session_id)
    with time_machine.travel(utcnow() + timedelta(days=3), tick=False):
        promotion_codes.release_stale()
    assert (states(), redeemed(), scenario.last(Payment).state) == (["released"], 0, "canceled")


def test_a_first_purchase_is_the_first(scenario: StripeScenario) -> None:
    made(first_purchase_only=True)
    scenario.begin_pack(code="LAUNCH-20")
    scenario.buy_pack(2500)
    assert refused(scenario, "LAUNCH-20")


def test_a_code_that_was_retired_at_stripe_meanwhile_is_told_there_anew(scenario: StripeScenario) -> None:
    code = made()
    jobs.publish_code(code.id)
    code.percent_bps = 3000
    db.session.commit()
    assert scenario.buy_pack(code="LAUNCH-20").price_cents == 700
    store = scenario.sandbox.running.sandbox.store
    assert [one["active"] for one in store.all("promotion_code")] == [True, False]
    code.is_active = False
    db.session.commit()
    jobs.publish_code(code.id)
    assert not any(one["active"] for one in store.all("promotion_code"))


def gift_of(scenario: StripeScenario, **columns: Any) -> None:
    made("GIFT", "gift", gift_nanos=300 * CREDIT, **columns)
    db.session.get_one(User, scenario.actor.user_id).email_verified_at = utcnow()
    db.session.commit()


def test_a_coupon_that_a_code_had_before_is_still_its_own(scenario: StripeScenario) -> None:
    code = made(stripe_coupon_id="now_1", former_coupon_ids=["before_1", "before_12"])
    made("OTHER")
    assert [PromotionCode.with_coupon(one) for one in ("now_1", "before_1", "before_12")] == [code] * 3
    assert [PromotionCode.with_coupon(one) for one in ("before", "beforeX1", "%", "")] == [None] * 4


def test_a_gift_is_once_for_a_mailbox_in_whatever_spelling(scenario: StripeScenario) -> None:
    gift_of(scenario, once_per_account=False)
    promotion_codes.redeem_gift(scenario.actor, "gift")
    other = StripeScenario(scenario.sandbox, "bob")
    user = db.session.get_one(User, other.actor.user_id)
    user.email, user.email_verified_at = "ada+more@example.com", utcnow()
    db.session.commit()
    for one in (scenario, other):
        with pytest.raises(promotion_codes.WrongCode):
            promotion_codes.redeem_gift(one.actor, "GIFT")
        db.session.rollback()
    assert (scenario.credits, other.credits, redeemed("GIFT")) == (300, 0, 1)
    assert scenario.kinds() == ["gift"]


def test_a_gift_is_for_a_confirmed_address(scenario: StripeScenario) -> None:
    gift_of(scenario)
    db.session.get_one(User, scenario.actor.user_id).email_verified_at = None
    db.session.commit()
    with pytest.raises(promotion_codes.WrongCode):
        promotion_codes.redeem_gift(scenario.actor, "GIFT")
    assert redeemed("GIFT") == 0
