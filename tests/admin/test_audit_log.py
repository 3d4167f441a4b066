"""The audit log: every act of an admin leaves a line, with what was and what is."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.operations.audit_log import AdminChange
from app.models.operations.outgoing_webhook import WebhookDelivery, WebhookEndpoint
from app.models.operations.support_request import SupportRequest
from tests.admin.conftest import AdminClient
from tests.support import Database, people

Line = tuple[str, str, set[str]]


class Log:
    """The lines that were added since the last look: (action, type, fields that differ)."""

    def __init__(self, session: Database) -> None:
        self.session, self.last = session, 0

    def news(self) -> list[Line]:
        self.session.rollback()
        lines = self.session.scalars(select(AdminChange).where(AdminChange.id > self.last).order_by(AdminChange.id))
        news = [(line.id, (line.action, line.subject, set(line.changes))) for line in lines]
        self.last = max([number for number, _line in news], default=self.last)
        return [line for _number, line in news]


@pytest.fixture
def log(session: Database) -> Iterator[Log]:
    return Log(session)


def test_every_retired_row_leaves_a_line(owner: AdminClient, session: Database, log: Log) -> None:
    for view, table, column in (
        ("plan", Plan, "status"),
        ("pack", CreditPack, "status"),
        ("model", AIModel, "is_for_sale"),
    ):
        ids = [str(one) for one in session.scalars(select(table.id).order_by(table.id.desc()).limit(3))]
        owner.post(f"/admin/{view}/retire/", id=ids)
        said = owner.get(f"/admin/{view}/").text
        assert ("3 of 3 retired" in said, "refused from now on" in said) == (True, view == "model")
        assert log.news() == [("retire", table.__tablename__, {column})] * 3


def test_a_new_version_leaves_a_line_for_each_row_that_it_changes(
    owner: AdminClient, session: Database, log: Log
) -> None:
    plus = session.query(Plan).filter_by(name="Plus").one()
    codes = [
        PromotionCode(code=code, kind="bonus", percent_bps=100, plan_ids=[str(plus.id)]) for code in ("AAA", "BBB")
    ]
    session.add_all(codes)
    session.commit()
    owner.post("/admin/plan/new-version/", id=plus.id)
    assert log.news() == [
        ("retire", "plans", {"status"}),
        *[("edit", "promotion_codes", {"plan_ids"})] * 2,
        ("new version", "plans", {"replaces_id"}),
    ]


def test_what_is_done_to_people_leaves_a_line(owner: AdminClient, session: Database, log: Log) -> None:
    ada = people.person("ada")
    person, told = ada.memberships[0].user_id, []
    session.add(SupportRequest(account_id=ada.id, user_id=person, message="Where is it?"))
    session.commit()
    request = session.scalars(select(SupportRequest.id)).one()
    for path, fields in (
        ("user/disable", {"id": person, "switch": "on"}),
        ("user/disable", {"id": person, "switch": "off"}),
        ("user/appoint", {"id": person, "appointed": "support"}),
        ("user/forget-second-factor", {"id": person}),
        ("user/sign-out", {"id": person}),
        ("account/freeze", {"id": ada.id, "switch": "on"}),
        ("account/plan", {"id": ada.id, "plan": 2}),
        ("support/answered", {"id": request}),
        ("user/erase", {"id": person, "email": "ada@example.com"}),
    ):
        assert owner.post(f"/admin/{path}/", **fields).status_code == 302
        told += log.news()
    assert told == [
        ("disable", "users", {"disabled_at"}),
        ("enable", "users", {"disabled_at"}),
        ("appoint", "users", {"admin_role"}),
        ("forget second factor", "users", {"second_factor"}),
        ("sign out everywhere", "users", {"sessions"}),
        ("freeze", "accounts", {"frozen_at", "frozen_by"}),
        ("change plan", "accounts", {"plan"}),
        ("answer", "support_requests", {"answered_at"}),
        ("delete", "users", {"person"}),
    ]


def test_the_installations_webhooks_are_managed_and_leave_a_line(
    owner: AdminClient, session: Database, log: Log
) -> None:
    refused = owner.post("/admin/webhooks/add/", url="https://ada:pass@example.com/hook")
    assert (refused.status_code, 'value="https://ada:pass@example.com/hook"' in refused.text) == (422, True)
    added = owner.post("/admin/webhooks/add/", url="https://example.com/hook")
    assert (added.status_code, log.news()) == (302, [("webhook added", "webhook_endpoints", {"url"})])
    shown = owner.get("/admin/webhooks/").text
    assert ("https://example.com/hook" in shown, "whsec_" in shown) == (True, True)
    endpoint = session.scalars(select(WebhookEndpoint.id)).one()
    WebhookDelivery.post(1, "evt_1", "balance.low")
    session.commit()
    sent = session.scalars(select(WebhookDelivery.id)).one()
    for act, identifier in (("rotate", endpoint), ("again", sent), ("remove", endpoint)):
        assert owner.post(f"/admin/webhooks/{act}/", id=identifier).status_code == 302
    assert [(action, subject) for action, subject, _fields in log.news()] == [
        ("webhook's secret rotated", "webhook_endpoints"),
        ("send again", "webhook_deliveries"),
        ("webhook removed", "webhook_endpoints"),
    ]
    assert session.get_one(WebhookEndpoint, endpoint).removed_at is not None
