"""The settings page: bounds, units, effect at once, a line in the record."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from app.models.catalog.setting import Setting
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient
from tests.support.people import CREDIT


def stored(session: scoped_session[Session]) -> dict[str, str]:
    session.rollback()
    return {row.key: row.value for row in session.scalars(select(Setting))}


def test_a_setting_is_typed_in_units_of_people(owner: AdminClient, session: scoped_session[Session]) -> None:
    assert (
        owner.fill("/admin/setting/", overdraft="75,5", default_margin="42.5", parallel_calls="7").status_code
        == 302
    )
    assert stored(session) == {"overdraft": str(75_500_000), "default_margin": "4250", "parallel_calls": "7"}


def test_a_setting_acts_without_a_restart(owner: AdminClient) -> None:
    owner.fill("/admin/setting/", brand_name="Toll & Gate")
    assert "Toll &amp; Gate" in owner.get("/admin/").text


@pytest.mark.parametrize(
    ("key", "typed"),
    [("overdraft", "-1"), ("default_margin", "100"), ("parallel_calls", "0"), ("parallel_calls", "NaN"),
     ("registration", "maybe"), ("require_verified_email", "2"), ("brand_name", ""), ("brand_name", "x" * 61),
     ("max_output_tokens", "255"), ("welcome_credit", "1e3")],
)  # fmt: skip
def test_a_value_out_of_bounds_is_refused_at_its_field(
    owner: AdminClient, session: scoped_session[Session], key: str, typed: str
) -> None:
    refused = owner.fill("/admin/setting/", **{key: typed})
    assert refused.status_code == 422
    assert 'class="errors"' in refused.text.split(f'data-field="{key}"')[1].split('class="field')[0]
    assert stored(session) == {}


def test_unknown_keys_are_not_stored(owner: AdminClient, session: scoped_session[Session]) -> None:
    owner.fill("/admin/setting/", secret_key="mine", is_admin="1")
    assert stored(session) == {}


def test_the_support_cannot_change_a_setting(support: AdminClient, session: scoped_session[Session]) -> None:
    assert support.post("/admin/setting/", overdraft="900").status_code == 403
    assert stored(session) == {}


def test_the_change_is_recorded(owner: AdminClient, session: scoped_session[Session]) -> None:
    owner.fill("/admin/setting/", registration="invite", reason="too many robots")
    change = session.scalars(select(AdminChange)).one()
    assert (change.subject, change.subject_id, change.reason) == (
        "settings",
        "registration",
        "too many robots",
    )
    assert change.changes == {"value": ["open", "invite"]}
    assert CREDIT
