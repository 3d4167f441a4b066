"""The overview after a change of the Stripe account."""

from typing import Any

import pytest

from app.extensions import db
from app.models.billing.stripe_account import Identity, StripeAccount, change, use
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from tests.support import people


@pytest.fixture
def moved(owner: Any) -> Any:
    before = use(Identity("acct_before", is_live=False))
    ada = people.person("ada")
    ada.stripe_customer_id = "cus_1"
    for number, sold in enumerate([*db.session.query(Plan), *db.session.query(CreditPack)]):
        sold.stripe_product_id, sold.stripe_price_id = f"prod_{number}", f"price_{number}"
    plan = db.session.query(Plan).filter_by(name="Plus").one()
    subscription = Subscription.begin(people.actor(ada), ada, plan)
    subscription.status, subscription.is_in_force, subscription.stripe_id = "active", True, "sub_1"
    db.session.flush()
    change(before, Identity("acct_now", is_live=True))
    db.session.query(CreditPack).first().stripe_price_id = "price_new"
    db.session.commit()
    return owner


def test_it_says_what_was_made_anew_and_what_was_left(moved: Any) -> None:
    page = " ".join(moved.get("/admin/").text.split())
    assert "Payments use acct_now (live mode)" in page
    assert "acct_before (test mode)" in page
    assert "1 of" in page
    assert "0 of 1 customers" in page
    assert "people subscribe again" in page


def test_one_account_is_nothing_to_tell(owner: Any) -> None:
    use(Identity("acct_only", is_live=True))
    db.session.commit()
    assert "Stripe account</h2>" not in owner.get("/admin/").text
    assert StripeAccount.in_use().label == "acct_only (live mode)"
