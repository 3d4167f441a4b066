"""Accounts, customers, products and prices; lists and their pages; errors in Stripe's words."""

import pytest
import requests
import stripe

from tests.sandbox.conftest import Shop


def test_the_account_answers_for_the_key(shop: Shop) -> None:
    assert shop.api.accounts.retrieve_current().charges_enabled is True


def test_a_request_without_a_key_is_refused(shop: Shop) -> None:
    answer = requests.get(f"{shop.sandbox.url}/v1/customers", timeout=60)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_metadata_is_merged_and_an_empty_value_unsets_its_key(shop: Shop) -> None:
    shop.api.customers.update(shop.customer.id, {"metadata": {"account_id": "7", "note": "x"}})
    changed = shop.api.customers.update(shop.customer.id, {"metadata": {"note": ""}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"account_id": "7"}


def test_a_deleted_customer_says_so_and_no_more(shop: Shop) -> None:
    shop.api.customers.delete(shop.customer.id)
    assert shop.api.customers.retrieve(shop.customer.id).deleted is True


def test_an_unknown_id_is_a_404_with_resource_missing(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.customers.retrieve("cus_unknown")
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (
        404,
        "resource_missing",
        "id",
    )


def test_an_unknown_id_in_a_parameter_is_a_400_that_names_it(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.session(customer="cus_unknown")
    assert (caught.value.http_status, caught.value.param) == (400, "customer")


def test_a_product_is_renamed_and_put_away(shop: Shop) -> None:
    product = shop.api.products.create({"name": "Plus", "metadata": {"plan_id": "1"}})
    changed = shop.api.products.update(product.id, {"name": "Plus 2026", "active": False})
    assert (changed.name, changed.active) == ("Plus 2026", False)


def test_a_lookup_key_moves_to_the_newer_price(shop: Shop) -> None:
    product = str(shop.prices["pack"].product)
    shared = {"product": product, "currency": "usd", "unit_amount": 500, "lookup_key": "pack"}
    shop.api.prices.create(shared)  # type: ignore[arg-type]
    newer = shop.api.prices.create({**shared, "transfer_lookup_key": True})  # type: ignore[typeddict-item]
    assert [price.id for price in shop.api.prices.list({"lookup_keys": ["pack"]}).data] == [newer.id]


def test_an_inactive_price_cannot_be_bought(shop: Shop) -> None:
    shop.api.prices.update(shop.prices["pack"].id, {"active": False})
    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        shop.session()


def test_a_subscription_price_does_not_go_into_a_payment(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="recurring price"):
        shop.session(price="plus")


def test_lists_are_paged_newest_first(shop: Shop) -> None:
    made = [shop.api.customers.create({"name": str(number)}).id for number in range(5)]
    seen = [customer.id for customer in shop.api.customers.list({"limit": 2}).auto_paging_iter()]
    assert seen == [*reversed(made), shop.customer.id]


def test_a_page_can_be_read_backwards(shop: Shop) -> None:
    made = [shop.api.customers.create({"name": str(number)}).id for number in range(4)]
    page = shop.api.customers.list({"limit": 2, "ending_before": made[0]})
    assert [customer.id for customer in page.data] == [made[2], made[1]]


def test_a_list_is_bounded_by_when_things_were_created(shop: Shop) -> None:
    shop.sandbox.advance(3600)
    later = shop.api.customers.create({"email": "bob@example.com"})
    result = shop.api.customers.list({"created": {"gte": later.created}})
    assert [customer.id for customer in result.data] == [later.id]


def test_expanding_what_cannot_be_expanded_is_a_400(shop: Shop) -> None:
    url = f"{shop.sandbox.url}/v1/customers/{shop.customer.id}?expand[]=email.address"
    answer = requests.get(url, auth=("sk_test_x", ""), timeout=60)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expand")


def test_an_unknown_url_says_so(shop: Shop) -> None:
    answer = requests.get(f"{shop.sandbox.url}/v1/nothing", auth=("sk_test_x", ""), timeout=60)
    assert "Unrecognized request URL" in answer.json()["error"]["message"]


def test_each_answer_carries_its_request_id_and_version(shop: Shop) -> None:
    answer = shop.api.customers.retrieve(shop.customer.id).last_response
    assert answer is not None
    assert answer.headers["Stripe-Version"] == "2026-10-28.endive"
    assert answer.request_id is not None
