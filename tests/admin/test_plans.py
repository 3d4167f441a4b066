"""Plans as an admin edits them: money as people write it, terms that stay, errors at the field."""

import pytest
from sqlalchemy import func, select

from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.models.identity.guest_account import open_guest_account
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient, at_field
from tests.support import Database, people
from tests.support.people import CREDIT


def plan(session: Database, name: str) -> Plan:
    session.rollback()
    return session.scalars(select(Plan).where(Plan.name == name).order_by(Plan.id.desc())).first()


@pytest.mark.databases("sqlite", "postgresql")
def test_a_plan_is_made_with_money_as_people_write_it(owner: AdminClient, session: Database) -> None:
    made = owner.fill("/admin/plan/new/", name="Extras", price_cents="20,00", surcharge_cents="$10", margin_bps="50 %")
    assert made.status_code == 302, made.text
    stored = plan(session, "Extras")
    assert (stored.price_cents, stored.surcharge_cents, stored.margin_bps) == (2000, 1000, 5000)
    assert stored.allowance_nanos == 5000 * CREDIT


WRONG = (
    ("price_cents", "-1", "be negative"), ("price_cents", "NaN", "Enter a number"),
    ("price_cents", "1e5", "Enter a number"), ("price_cents", "1.001", "Use at most 2 decimal"),
    ("price_cents", "", "This is required"), ("price_cents", "99999999999", "At most $10000000.00"),
    ("surcharge_cents", "-0.01", "be negative"), ("surcharge_cents", "20.01", "be more than the price"),
    ("margin_bps", "100", "At most 99.99%"), ("margin_bps", "-1", "be negative"),
    ("daily_limit_nanos", "-5", "be negative"), ("window_hours", "13", "At most 12"),
    ("window_hours", "5", "Enter both"), ("parallel_calls", "0", "At least 1"),
    ("parallel_calls", "1.5", "Enter a whole number."), ("trial_days", "400", "At most 365"),
    ("allowance_override_nanos", "99999999999999999999", "This number is too large"),
    ("name", "", "This is required"), ("status", "gone", "Not a valid choice"),
    ("models", "no-such-model", "valid choice"),
    ("position", "", "This is required"), ("trial_days", " ", "This is required"),
    ("daily_limit_nanos", "0", "At least 0.000001 credits"), ("window_limit_nanos", "0", "At least 0.000001 credits"),
    ("sale_ends_at", "9999-12-31T23:59-12:00", "Enter a year from 2000"), ("name", " plus ", "is sold under this name"),
)  # fmt: skip


def test_a_new_plan_or_pack_comes_last(owner: AdminClient, session: Database) -> None:
    lasts = {
        "plan": session.scalar(select(func.max(Plan.position))),
        "pack": session.scalar(select(func.max(CreditPack.position))),
    }
    for path, last in lasts.items():
        assert f'name="position" required type="text" value="{last + 1}"' in owner.get(f"/admin/{path}/new/").text


def test_a_figure_that_cannot_be_is_refused_at_its_field(owner: AdminClient, session: Database) -> None:
    refused, form = {}, owner.form("/admin/plan/new/")
    form |= {"name": "Wrong", "price_cents": "20.00", "margin_bps": "50"}
    for field, typed, text in WRONG:
        answer = owner.send("/admin/plan/new/", form | {field: typed})
        refused[field, typed] = (answer.status_code, text if text in at_field(answer.text, field) else None)
    assert refused == {(field, typed): (422, text) for field, typed, text in WRONG}
    assert plan(session, "Wrong") is None


def test_a_refused_form_keeps_what_was_typed(owner: AdminClient) -> None:
    refused = owner.fill("/admin/plan/new/", name="Kept", price_cents="abc", description="Mine & yours")
    assert 'value="abc"' in refused.text
    assert "Mine &amp; yours" in refused.text


def test_what_was_sold_keeps_its_price(owner: AdminClient, session: Database) -> None:
    plus = plan(session, "Plus")
    plus.lock_terms()
    session.commit()
    refused = owner.fill(f"/admin/plan/edit/?id={plus.id}", price_cents="30.00")
    assert refused.status_code == 422
    assert "New version" in refused.text
    assert plan(session, "Plus").price_cents == 2000


def test_margin_and_name_of_what_was_sold_can_be_edited(owner: AdminClient, session: Database) -> None:
    plus = plan(session, "Plus")
    plus.lock_terms()
    session.commit()
    assert owner.fill(f"/admin/plan/edit/?id={plus.id}", margin_bps="40").status_code == 302
    assert plan(session, "Plus").margin_bps == 4000


def test_a_plan_that_somebody_is_on_keeps_its_price(owner: AdminClient, session: Database) -> None:
    free_of_charge = plan(session, "Pay as you go")
    people.person("ada", plan=free_of_charge)
    session.commit()
    assert owner.fill(f"/admin/plan/edit/?id={free_of_charge.id}", price_cents="5").status_code == 422


def test_a_new_version_is_one_click(owner: AdminClient, session: Database) -> None:
    plus = plan(session, "Plus")
    plus.lock_terms()
    session.commit()
    owner.post("/admin/plan/new-version/", id=plus.id)
    session.rollback()
    copy = plan(session, "Plus")
    assert (session.get(Plan, plus.id).status, copy.status, copy.replaces_id) == ("legacy", "active", plus.id)


def test_a_new_version_of_the_default_plan_is_the_default(owner: AdminClient, session: Database) -> None:
    former = Plan.default().id
    owner.post("/admin/plan/new-version/", id=former)
    session.rollback()
    assert Plan.default().replaces_id == former


def test_a_new_version_of_an_inactive_plan_leaves_it_inactive(owner: AdminClient, session: Database) -> None:
    plus = plan(session, "Plus")
    plus.status = "inactive"
    session.commit()
    owner.post("/admin/plan/new-version/", id=plus.id)
    session.rollback()
    assert (session.get(Plan, plus.id).status, plan(session, "Plus").status) == ("inactive", "active")


def test_a_preview_saves_nothing_and_is_held_to_the_rules_of_what_is_saved(
    owner: AdminClient, session: Database
) -> None:
    typed = owner.form("/admin/plan/new/") | {"name": "New", "price_cents": "20", "chats_per_month": "-1"}
    shown = owner.client.post("/admin/plan/preview/", data=typed)
    refused = owner.client.post("/admin/plan/preview/", data=typed | {"surcharge_cents": "30"})
    assert (shown.status_code, "$20" in shown.text, "-1 new chats" in shown.text) == (200, True, False)
    assert plan(session, "New") is None
    assert (refused.status_code, "Surcharge: The surcharge can" in refused.text) == (422, True)


def test_the_default_plan_cannot_be_retired(owner: AdminClient, session: Database) -> None:
    refused = owner.fill(f"/admin/plan/edit/?id={Plan.default().id}", status="inactive")
    assert refused.status_code == 422
    assert "default" in at_field(refused.text, "status")
    owner.post("/admin/plan/retire/", id=[str(plan(session, name).id) for name in ("Free", "Plus")])
    said = owner.get("/admin/plan/").text
    assert "1 of 2 retired. Customers keep what they have. Still as before: Free. New accounts start on" in said


def test_another_free_plan_can_be_made_the_default(owner: AdminClient, session: Database) -> None:
    other = plan(session, "Pay as you go")
    owner.post("/admin/plan/default/", id=other.id)
    session.rollback()
    assert Plan.default().id == other.id


def test_the_form_says_who_is_on_the_plan_and_what_a_status_does(owner: AdminClient, session: Database) -> None:
    people.person("ada", plan=plan(session, "Plus"))
    session.commit()
    page = owner.get(f"/admin/plan/edit/?id={plan(session, 'Plus').id}").text
    assert "1 account is on it" in page
    assert "no usage at all" in page


def test_the_worth_is_said_while_it_is_typed(owner: AdminClient) -> None:
    typed = "price_cents=20&surcharge_cents=10&margin_bps=50&interval=month&sale_price_cents=15"
    text = owner.get(f"/admin/plan/worth/?{typed}").json["text"]
    assert "$20.00 - $10.00 surcharge, 50% margin = 5,000 credits a month" in text
    assert "our cost at full use $5.00, Stripe's fee about $0.88, left $14.12" in text
    assert text.endswith("On sale for $15.00: our cost at full use $5.00, Stripe's fee about $0.74, left $9.26.")


def test_the_worth_of_what_cannot_be_is_said_in_words(owner: AdminClient) -> None:
    cases = (
        "price_cents=x",
        "price_cents=10&surcharge_cents=20&margin_bps=5",
        "price_cents=5&margin_bps=100",
        "",
    )
    for typed in cases:
        answer = owner.get(f"/admin/plan/worth/?{typed}")
        assert (answer.status_code, "credits" in answer.json["text"]) == (200, False), typed


def test_a_change_is_recorded_with_who_what_and_why(owner: AdminClient, session: Database) -> None:
    starter = plan(session, "Starter")
    owner.fill(f"/admin/plan/edit/?id={starter.id}", margin_bps="45", reason="a test")
    change = session.scalars(select(AdminChange).order_by(AdminChange.id.desc())).first()
    assert (change.actor.email, change.subject, change.subject_id) == (
        "person-owner@example.com",
        "plans",
        str(starter.id),
    )
    assert (change.changes, change.reason) == ({"margin_bps": ["5000", "4500"]}, "a test")


def test_a_recorded_change_cannot_be_edited(owner: AdminClient, session: Database) -> None:
    owner.fill(f"/admin/plan/edit/?id={plan(session, 'Starter').id}", margin_bps="45")
    change = session.scalars(select(AdminChange)).first()
    change.reason = "another"
    with pytest.raises(TypeError):
        session.flush()
    session.rollback()


def test_what_is_posted_beside_the_form_changes_nothing(owner: AdminClient, session: Database) -> None:
    starter = plan(session, "Starter")
    extra = {
        "id": "999",
        "is_default": "y",
        "stripe_price_id": "price_x",
        "terms_locked_at": "2020-01-01",
        "replaces_id": "1",
    }
    assert owner.fill(f"/admin/plan/edit/?id={starter.id}", **extra).status_code == 302
    session.rollback()
    now = session.get(Plan, starter.id)
    assert (now.is_default, now.stripe_price_id, now.terms_locked_at, now.replaces_id) == (
        False,
        None,
        None,
        None,
    )


def test_the_second_of_two_editors_is_told(owner: AdminClient, session: Database) -> None:
    starter = plan(session, "Starter")
    path = f"/admin/plan/edit/?id={starter.id}"
    seen_before = owner.form(path)
    assert owner.fill(path, description="first").status_code == 302
    late = owner.client.post(path, data=seen_before | {"description": "second"})
    assert late.status_code == 422
    assert plan(session, "Starter").description == "first"


def test_what_guests_share_is_no_plan_to_be_sold(owner: AdminClient, session: Database) -> None:
    open_guest_account()
    session.commit()
    house = session.scalars(select(Account).where(Account.kind == "house")).one()
    assert ">Guests<" not in owner.get("/admin/plan/").text
    assert owner.get(f"/admin/plan/edit/?id={house.plan_id}").status_code in {302, 404}
    owner.post("/admin/plan/new-version/", id=house.plan_id)
    plus = session.scalars(select(Plan.id).where(Plan.name == "Plus")).one()
    assert owner.post("/admin/account/plan/", id=house.id, plan=plus).status_code == 404
    session.rollback()
    assert [plan.status for plan in session.scalars(select(Plan).where(Plan.name == "Guests"))] == ["legacy"]


def test_a_sale_price_is_held_to_the_floor_and_shown_with_its_end(owner: AdminClient, session: Database) -> None:
    path = f"/admin/plan/edit/?id={plan(session, 'Plus').id}"
    below = owner.fill(path, sale_price_cents="9.99", sale_ends_at="2100-01-02T00:00")
    assert (below.status_code, "real margin of -0.11%" in below.text) == (422, True)
    assert owner.fill(path, sale_price_cents="15").status_code == 422
    over = owner.fill(path, sale_price_cents="15", sale_ends_at="2020-01-02T00:00")
    assert (over.status_code, "already passed" in at_field(over.text, "sale_ends_at")) == (422, True)
    assert owner.fill(path, sale_price_cents="15", sale_ends_at="2100-01-02T00:00").status_code == 302
    assert "$20 afterwards. Subscribe before 1 January 2100 to keep this price." in owner.get("/pricing").text


def test_two_packs_on_offer_have_two_names(owner: AdminClient) -> None:
    refused = owner.fill("/admin/pack/new/", name="Small pack", price_cents="30", margin_bps="50")
    assert "Something else is sold under this name" in refused.text
