"""What one account's requests ask of Stripe is bounded: Stripe's own limit is everybody's. security.md 28."""

from typing import Any

import pytest
from flask import Flask
from limits import parse

from app.stripe_api import client as stripe_client
from tests.payments.conftest import CustomerClient
from tests.support.stripe_contract import ContractClient


class Counted(ContractClient):
    asked = 0

    def request(self, *arguments: Any, **options: Any) -> Any:
        self.asked += 1
        return super().request(*arguments, **options)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RATELIMIT_ENABLED": "1"}


def test_one_account_asks_so_often_by_pages_and_by_programs(
    app: Flask, customer: CustomerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_client, "SHARE", parse("5 per minute"))
    counted = app.extensions["stripe_http"] = Counted()
    app.extensions.pop("stripe", None)
    pages = [customer.page(f"/billing/return?session_id=cs_{number}").status_code for number in range(4)]
    bought = {"pack_id": str(customer.scenario.pack().id)}
    programs = [customer.json("POST", "/api/checkout", bought).status_code for _ in range(4)]
    assert counted.asked == 5
    assert set(pages) == {404}
    assert programs[-1] == 503
