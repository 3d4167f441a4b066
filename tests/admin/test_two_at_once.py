"""Two admins act on the same page: the second does not undo, or do again, what the first did."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.models.billing.currency_choice import fault_of
from app.models.billing.refund import Refund
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.user import User
from tests.admin.conftest import AdminClient, FormReader, sign_in
from tests.admin.test_account_actions import paid
from tests.support import Database

SWITCHES: dict[str, tuple[type[Any], str, str]] = {
    "account/freeze": (Account, "account/details", "frozen_at"),
    "user/disable": (User, "user/details", "disabled_at"),
    "model/sale": (AIModel, "model", "is_for_sale"),
}


def form_of(owner: AdminClient, page: str, act: str) -> dict[str, Any]:
    """What the page's button sends."""
    return next(fields for action, fields in FormReader(owner.get(page).text).forms if action and act in action)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_that_two_press_is_what_both_wanted(
    owner: AdminClient, ada: Account, session: Database, switch: str
) -> None:
    table, page, column = SWITCHES[switch]
    row = {Account: ada, User: ada.owner, AIModel: session.query(AIModel).order_by(AIModel.id).first()}[table]
    before = bool(getattr(row, column))
    form = form_of(owner, f"/admin/{page}/?id={row.id}", f"{switch}/") | {"id": row.id}
    for _press in range(2):
        assert owner.client.post(f"/admin/{switch}/", data=form).status_code == 302
    session.rollback()
    assert bool(getattr(session.get(table, row.id), column)) is not before
    assert owner.post(f"/admin/{switch}/", id=row.id).status_code == 400


def test_a_refund_that_is_sent_twice_is_made_once(owner: AdminClient, ada: Account, session: Database) -> None:
    paid(session, ada)
    form = form_of(owner, f"/admin/account/details/?id={ada.id}", "refund") | {"amount": "2.50", "reason": "asked"}
    for _press in range(2):
        owner.client.post("/admin/account/refund/", data=form)
    session.rollback()
    assert [refund.amount_cents for refund in session.scalars(select(Refund))] == [250]
    assert (
        "Refund $7.50 of $10.00? 3,750 credits are taken back."
        in owner.get(f"/admin/account/details/?id={ada.id}").text
    )


def test_settings_that_somebody_saved_meanwhile_stay(owner: AdminClient, session: Database) -> None:
    page = "/admin/setting/"
    seen = owner.form(page)
    assert owner.fill(page, brand_name="First").status_code == 302
    late = owner.client.post(page, data=seen | {"signups_per_day": "7"})
    assert (late.status_code, "in the meantime" in late.text) == (422, True)
    assert re.findall("Saved now: [^<]+", late.text) == ["Saved now: First.", f"Saved now: {seen['signups_per_day']}."]
    session.rollback()
    assert (Setting.get("brand_name"), Setting.get("signups_per_day") == 7) == ("First", False)


def test_what_another_saved_of_a_plan_stands_beside_what_was_typed(owner: AdminClient, session: Database) -> None:
    plus = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    page = f"/admin/plan/edit/?id={plus.id}"
    seen = owner.form(page)
    assert owner.fill(page, margin_bps="40", status="legacy", models=["demo-fast"]).status_code == 302
    late = owner.client.post(
        page, data=seen | {"description": "Ours", "margin_bps": "50.00", "has_priority_support": "y"}
    )
    noted = dict(re.findall(r'data-field="(\w+)"(?:(?!data-field).)*<li>Saved now: (.+?)\.</li>', late.text, re.DOTALL))
    assert noted == {
        "description": plus.description, "status": "legacy: works for those who have it, can&#39;t be chosen",
        "margin_bps": "40%", "models": "Demo fast", "has_priority_support": "off",
    }  # fmt: skip


@pytest.mark.databases("sqlite", "postgresql")
def test_of_two_who_save_settings_at_the_same_moment_one_looks_again(
    app: Flask, owner: AdminClient, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, other = "/admin/setting/", AdminClient(app.test_client())
    sign_in(other.client, session.scalars(select(User).where(User.name == "Person-Owner")).one())
    forms = [(one.client, one.form(page) | {"signups_per_day": str(n)}) for n, one in enumerate((owner, other), 7)]

    def slowly(*chosen: Any) -> dict[str, list[str]]:
        time.sleep(0.3)
        return fault_of(*chosen)

    monkeypatch.setattr("app.admin.settings.fault_of", slowly)
    with ThreadPoolExecutor(2) as threads:
        statuses = list(threads.map(lambda one: one[0].post(page, data=one[1]).status_code, forms))
    assert sorted(statuses) == [302, 422]


def test_a_plan_gets_one_new_version_however_often_that_is_pressed(owner: AdminClient, session: Database) -> None:
    plus = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    for _press in range(2):
        owner.post("/admin/plan/new-version/", id=plus.id)
    session.rollback()
    assert [plan.replaces_id for plan in Plan.on_offer() if plan.name == "Plus"] == [plus.id]
