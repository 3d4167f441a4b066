"""Images in numbers: random calls with faults, many at once, a price that no longer covers its cost, kinds of use."""

import random
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from app.admin.image_prices import alarms
from app.models.base import utctoday
from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment
from app.models.identity.account import Account
from app.models.metering.image_costs import totals
from app.models.metering.usage import Usage
from app.providers.base import ImagePrompt
from app.providers.demo import DemoProvider
from tests.chat.conftest import Door
from tests.images.conftest import GOOGLE, OPENAI, price_of
from tests.images.test_images import IN_ALL, make
from tests.support import Database, people
from tests.support.image_server import ImageServer
from tests.support.people import CREDIT
from tests.support.running_app import RunningApp

FAULTS = ("ok", "ok", "some:1", "some:2", "filtered", "none", "broken", "address", "no_usage", "cut")


def test_the_charge_is_what_was_delivered_times_the_price_every_time(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    """Random calls of both vendors, with faults."""
    people.give(session.query(Account).order_by(Account.id.desc()).first(), credits=100_000 * CREDIT)
    session.commit()
    dice, balance = random.Random(7), ada.balance()["available_nanos"]  # noqa: S311 - a test's dice
    for _ in range(12):
        model, count = dice.choice((OPENAI, GOOGLE)), dice.randint(1, 4)
        painter.answers.clear()
        painter.answers.extend(dice.choices(FAULTS, k=count if model == GOOGLE else 1))
        ended = make(ada, model=model, n=count).end
        call = session.get_one(Usage, int(ended["call_id"]))
        delivered = len(ended.get("images", ()))
        price = delivered * call.image_price.price_nanos
        assert ended["cost_nanos"] == call.paid_nanos == price <= call.reserved_nanos
        assert delivered <= count
        balance -= price
        assert ended["available_nanos"] == balance
        session.rollback()

    assert session.scalar(select(func.sum(Usage.images))) == session.query(Attachment).count() > 10
    assert list(audit()) == []
    assert audit_calls().all() == []


@pytest.mark.databases("postgresql")
def test_of_twenty_at_once_with_money_for_one_there_is_one(
    app: Flask, session: Database, start_app: Callable[..., RunningApp], painter: ImageServer
) -> None:
    painter.delay = 1.0
    price = price_of(OPENAI, "medium", "1024x1024").price_nanos
    account = people.person("ada", credits=price)
    headers = {"Authorization": f"Bearer {people.api_key(account)}"}
    session.add(Setting(key="overdraft", value="0"))
    session.commit()
    web = start_app("web", OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=painter.openai_url)
    statuses: list[int] = []

    def ask() -> None:
        body = {"prompt": "A fox", "model": OPENAI}
        answer = requests.post(f"{web.url}/api/images", json=body, headers=headers, timeout=60)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for step in ("start", "join"):
        for thread in threads:
            getattr(thread, step)()

    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 402, 429}
    session.rollback()
    assert session.scalar(select(func.sum(Usage.images))) == 1
    assert len(painter.requests) == 1
    assert list(audit()) == []


def test_a_price_below_what_the_last_images_cost_raises_an_alarm(
    ada: Door, session: Database, painter: ImageServer
) -> None:
    price = price_of(OPENAI, "low", "1024x1024")
    make(ada, model=OPENAI, quality="low", n=2)
    make(ada, model=OPENAI, quality="max", n=1)
    session.rollback()

    assert price.price_nanos < IN_ALL
    [alarm] = alarms()
    assert "low, 1024x1024" in alarm
    sums, charged = totals(utctoday() - timedelta(days=1), utctoday()), price_of(OPENAI, "max", "1024x1024")
    assert sums.images == 3
    assert sums.charged == 2 * price.price_nanos + charged.price_nanos == sums.reported
    assert sums.difference == sums.charged - session.scalar(select(func.sum(Usage.provider_nanos)))


def test_use_is_counted_by_kind(ada: Door, session: Database, painter: ImageServer) -> None:
    make(ada, model=OPENAI, n=2)
    session.query(Usage).one()
    for operation in ("draft", "repurpose", "held:embedding", "gateway", "haiku"):
        call = session.query(Usage).order_by(Usage.id).first()
        columns = {c.name: getattr(call, c.name) for c in Usage.__table__.columns if c.name != "id"}
        session.add(Usage(**columns | {"operation": operation, "images": 0}))
    session.commit()
    rows = ada.call("GET", "/usage?group_by=kind").json["items"]
    assert {row["kind"]: row["calls"] for row in rows} == {
        "api_call": 2, "document_create": 2, "haiku": 1, "image": 1,
    }  # fmt: skip


def test_images_are_called_by_the_first_words_of_what_was_asked_for(ada: Door) -> None:
    prompt = "Half a fox and/or\nhalf a hare, " + "as fine as an old etching, " * 20
    [image] = make(ada, model=OPENAI, prompt=prompt).end["images"]
    assert image["name"] == "Half a fox and-or half a hare, as fine as an old etching, a… 1.png"


def test_the_demo_paints_without_a_key() -> None:
    prompt = ImagePrompt.of("demo-painter", "A harbour", quality="low", size="64x48", count=2)
    drawing = DemoProvider(pace=0.0).draw(prompt)
    assert list(drawing) == []
    first, second = drawing.images
    assert first != second
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    again = DemoProvider(pace=0.0).draw(prompt)
    assert (list(again), again.images) == ([], drawing.images)
    assert drawing.usage.image_output == drawing.usage.output > 0
