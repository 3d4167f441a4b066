"""The lab in the admin: a run from its form to its figures, kept, compared, repeated, cancelled, made into drafts."""

import csv
import io
import re
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.lab import jobs
from app.lab.scenario import Scenario
from app.lab.user_kinds import seed_habits
from app.models.catalog.plan import CreditPack, Plan, copy_as_draft
from app.models.operations.lab_run import Habit, LabRun
from tests.admin.conftest import AdminClient, FormReader, at_field
from tests.lab.histories import live
from tests.support import Database, people
from tests.support.people import model

DAYS = {"first": "2026-10-01", "last": "2026-10-31", "name": "A dearer Plus"}


@pytest.fixture(autouse=True)
def in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run comes to its end in one turn, however busy the machine is."""
    monkeypatch.setattr(jobs, "AT_A_TIME", 600)


@pytest.fixture
def plus(app: Flask, session: Database) -> Plan:
    return session.scalars(select(Plan).where(Plan.name == "Plus")).one()


@pytest.fixture
def month(plus: Plan) -> None:
    """Of a few people."""
    model("big", kind="demo", dollars_in="25", dollars_out="100")
    model("small", kind="demo", dollars_in="2.5", dollars_out="10")
    live(4)


def filled(owner: AdminClient, **typed: Any) -> Any:
    """Open the form, type, and send it."""
    return owner.client.post("/admin/lab/new/", data=empty_form(owner) | DAYS | typed)


def empty_form(owner: AdminClient) -> dict[str, Any]:
    page = owner.get("/admin/lab/new/")
    return next(fields for _action, fields in FormReader(page.text).forms if "first" in fields)


def begun(owner: AdminClient, session: Database, **typed: Any) -> LabRun:
    """A run as the form begins it, and as far as its job comes."""
    answer = filled(owner, **typed)
    assert answer.status_code == 302, re.findall(r'class="errors".*?</ul>', answer.text, re.S)
    run = session.scalars(select(LabRun).order_by(LabRun.id.desc()).limit(1)).one()
    session.commit()
    jobs.run(run.id)
    session.expire_all()
    return run


def test_a_run_from_the_form_to_its_figures(
    owner: AdminClient, plus: Plan, month: None, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the same in one turn and in many, and is kept whatever becomes of what it changes."""
    typed = {f"plans-{plus.id}-margin_bps": "90", f"plans-{plus.id}-price_cents": "10", "settings-overdraft": "5"}
    run = begun(owner, session, **typed)
    assert run.state == "done", run.error
    assert run.scenario["plans"] == {str(plus.id): {"margin_bps": 9000, "price_cents": 1000}}
    assert run.scenario["settings"] == {"overdraft": 5_000_000}
    assert run.result["counts"]["newly_refused"] > 0
    figures_are_shown(owner, run, session)
    assert in_turns(owner, session, monkeypatch, **typed).result == run.result
    is_kept(owner, run, plus, session)


def figures_are_shown(owner: AdminClient, run: LabRun, session: Database) -> None:
    page = owner.get(f"/admin/lab/details/?id={run.id}").text
    for text in ("Plus: ", "margin 90", "overdraft 5", "Everybody buys what they bought", "Newly refused"):
        assert text in page
    assert page.count('class="chart"') == 4
    assert "Simulated." not in page
    sheet = list(csv.reader(io.StringIO(owner.get(f"/admin/lab/csv/newly_refused/?id={run.id}").text)))
    assert sheet[0] == ["When (UTC)", "Account", "Name", "Model", "Code"]
    days = list(csv.reader(io.StringIO(owner.get(f"/admin/lab/csv/day/?id={run.id}").text)))
    assert days[0][:4] == ["Day", "Plan", "Revenue", "Revenue, then"]
    assert {tuple(row[:2]) for row in days[1:]} == {
        (key.split()[0], session.get_one(Plan, int(key.split()[1])).name) for key in run.result["days"]
    }
    assert len(sheet) - 1 == min(200, run.result["counts"]["newly_refused"])
    assert owner.get(f"/admin/lab/csv/none/?id={run.id}").status_code == 404


def in_turns(owner: AdminClient, session: Database, patch: pytest.MonkeyPatch, **typed: Any) -> LabRun:
    """The same run once more, one account or user in each turn."""
    with patch.context() as short:
        short.setattr(jobs, "AT_A_TIME", 0)
        short.setattr("app.lab.run.AT_A_TIME", 1)
        parts = begun(owner, session, **typed)
        assert parts.state == "running"
        for _turn in range(20):
            jobs.run(parts.id)
            session.expire_all()
            if parts.is_over:
                break
    assert parts.state == "done"
    return parts


def is_kept(owner: AdminClient, run: LabRun, plus: Plan, session: Database) -> None:
    """Its plan's surcharge is more than the run's price by now: it is shown, but neither repeated nor made a draft."""
    sheet, count = f"/admin/lab/csv/answers/?id={run.id}", session.query(LabRun).count()
    before = owner.get(sheet).text
    assert "Plus" in before
    plus.surcharge_cents = 1500
    session.commit()
    assert (owner.get(sheet).text, owner.get(f"/admin/lab/details/?id={run.id}").status_code) == (before, 200)
    for act in ("repeat", "drafts"):
        sent = {"csrf_token": owner.token(), "id": run.id}
        answer = owner.client.post(f"/admin/lab/{act}/", data=sent, follow_redirects=True)
        assert (answer.status_code, "more than the price" in answer.text) == (200, True), act
    assert session.query(LabRun).count() == count


def test_the_form_asks_of_plans_that_somebody_can_be_on_and_of_those_that_were_changed(
    owner: AdminClient, plus: Plan, session: Database
) -> None:
    draft = copy_as_draft(plus, {"price_cents": 2500})
    session.flush()
    scenario = Scenario(date(2026, 10, 1), date(2026, 10, 31), plans={str(draft.id): {"price_cents": 2500}})
    run = LabRun(name="A draft", scenario=scenario.stored)
    session.add(run)
    session.commit()
    asked = [owner.get(f"/admin/lab/new/?like={like}").text.count(f'name="plans-{draft.id}-') for like in ("", run.id)]
    assert (asked[0], asked[1] > 10) == (0, True)
    assert f"plans-{plus.id}-price_cents" in empty_form(owner)


def test_runs_are_repeated_compared_and_made_into_drafts(owner: AdminClient, plus: Plan, session: Database) -> None:
    pack, by_volume = session.scalars(select(CreditPack).order_by(CreditPack.id).limit(2))
    by_volume.volume = [[10, 4500]]
    session.commit()
    changes = {f"plans-{plus.id}-price_cents": "25", f"packs-{pack.id}-margin_bps": "10"}
    changes[f"packs-{by_volume.id}-volume"] = "10: 40%\n50: 35"
    run = begun(owner, session, **changes)
    assert run.scenario["packs"][str(by_volume.id)] == {"volume": [[10, 4000], [50, 3500]]}
    assert f"{by_volume.name}: volume 10 at 40%, 50 at 35%" in owner.get(f"/admin/lab/details/?id={run.id}").text
    again = repeated_and_cancelled(owner, run, session)
    assert "Revenue" in owner.get(f"/admin/lab/compare/?id={run.id}&id={again.id}").text
    before = plus.status, plus.price_cents
    assert owner.post("/admin/lab/drafts/", id=run.id).status_code == 302
    session.expire_all()
    draft = session.scalars(select(Plan).where(Plan.replaces_id == plus.id)).one()
    assert (draft.status, draft.price_cents, draft.margin_bps) == ("inactive", 2500, plus.margin_bps)
    assert (plus.status, plus.price_cents) == before
    made, tiered = (
        session.scalars(select(CreditPack).where(CreditPack.replaces_id == one.id)).one() for one in (pack, by_volume)
    )
    assert made.margin_bps == 1000
    assert (tiered.volume, by_volume.volume) == ([[10, 4000], [50, 3500]], [[10, 4500]])


def repeated_and_cancelled(owner: AdminClient, run: LabRun, session: Database) -> LabRun:
    assert owner.post("/admin/lab/repeat/", id=run.id).status_code == 302
    again = session.scalars(select(LabRun).where(LabRun.name == "A dearer Plus again")).one()
    assert (again.scenario, again.state) == (run.scenario, "waiting")
    assert owner.post("/admin/lab/cancel/", id=again.id).status_code == 302
    jobs.run(again.id)
    session.expire_all()
    assert (again.state, again.result) == ("cancelled", {})
    return again


def test_what_ten_dollars_buy_is_left_open_where_no_call_was_paid(owner: AdminClient, session: Database) -> None:
    run = begun(owner, session, first="2020-01-01", last="2020-01-02")
    assert "Plus,,\r\n" in owner.get(f"/admin/lab/csv/answers/?id={run.id}").text


def test_versions_have_a_group_of_fields_each(owner: AdminClient, plus: Plan, session: Database) -> None:
    newer = plus.new_version()
    people.person("ada", plan=plus)
    session.commit()
    form = owner.get("/admin/lab/new/").text
    groups = re.findall(r"<legend>(Plan Plus[^<]*)</legend>(.*?)</fieldset>", form, re.S)
    plans = {title: re.findall(r'data-field="plans-(\d+)-margin_bps"', fields) for title, fields in groups}
    assert plans["Plan Plus"] == [str(newer.id)]
    assert plans[f"Plan Plus (legacy, number {plus.id})"] == [str(plus.id)]


def test_made_up_months_are_marked(
    owner: AdminClient, plus: Plan, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They too are the same in one turn and in many."""
    seed_habits()
    session.query(Habit).update({"people": 1})
    session.commit()
    typed = {"is_simulated": "y", "last": "2026-10-02"}
    run = begun(owner, session, **typed)
    assert run.state == "done", run.error
    assert "Simulated." in owner.get(f"/admin/lab/details/?id={run.id}").text
    assert "Curious" in owner.get("/admin/habit/").text
    assert in_turns(owner, session, monkeypatch, **typed).result == run.result
    session.query(Habit).update({"people": 9000, "calls_per_day": 90_000})
    session.commit()
    refused = filled(owner, is_simulated="y")
    assert (refused.status_code, "too many or too busy" in refused.text) == (422, True)


def test_what_cannot_be_run_is_refused_and_kept_in_the_form(owner: AdminClient, plus: Plan, session: Database) -> None:
    form = empty_form(owner)
    fields = {
        "first": ("tomorrow", "Enter a date"),
        "prices-demo-fast-output_nanos": ("", "This is required"),
        "images-gpt-image-2.5-flare low 1024x1024-price_nanos": ("0", "At least $0.000000001"),
        f"plans-{plus.id}-margin_bps": ("100", "At most 99.99"),
        "settings-overdraft": ("-1", "be negative"),
        "settings-breaker_floor_percent": ("101", "At most 100"),
        "packs-1-volume": ("ten", "write a quantity"),
    }
    refused = owner.client.post(
        "/admin/lab/new/", data=form | DAYS | {name: typed for name, (typed, _) in fields.items()}
    )
    assert refused.status_code == 422
    for name, (typed, text) in fields.items():
        shown = at_field(refused.text, name)
        assert (text in shown, typed in shown) == (True, True), name
    for typed, text in (
        ({"last": "2026-09-01"}, "before the first day"),
        ({"last": "2999-01-01", "first": "2998-12-31"}, "in the future"),
        ({"first": "0001-01-01", "last": "9999-12-31", "is_simulated": "y"}, "Enter a year from 2000"),
        ({f"plans-{plus.id}-surcharge_cents": "999"}, "more than the price"),
        ({"packs-1-volume": "10: 99%"}, "would be worth no more than"),
    ):
        refused = owner.client.post("/admin/lab/new/", data=form | DAYS | typed)
        assert refused.status_code == 422, typed
        assert text in refused.text, typed
    assert session.scalars(select(LabRun)).all() == []


def test_a_run_that_fails_says_so(owner: AdminClient, session: Database) -> None:
    broken = LabRun(name="x", scenario={"first": "2026-10-01"})
    session.add(broken)
    session.commit()
    jobs.run(broken.id)
    session.expire_all()
    assert (broken.state, broken.error) == ("failed", "KeyError")
