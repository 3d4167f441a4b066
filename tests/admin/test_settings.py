"""The settings page: bounds, units, effect at once, a line in the record."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from app.models.base import utcnow
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.setting import Setting
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient, at_field
from tests.support import Database
from tests.support.people import CREDIT, person


def stored(session: Database) -> dict[str, str]:
    """Without the row that those who edit wait for."""
    session.rollback()
    return {row.key: row.value for row in session.scalars(select(Setting)) if row.key != Setting.EDITED}


def test_a_setting_is_typed_in_units_of_people(owner: AdminClient, session: Database) -> None:
    assert owner.fill("/admin/setting/", overdraft="75,5", default_margin="42.5", parallel_calls="7").status_code == 302
    assert stored(session) == {"overdraft": str(75_500_000), "default_margin": "4250", "parallel_calls": "7"}


def test_a_setting_acts_without_a_restart(owner: AdminClient) -> None:
    owner.fill("/admin/setting/", brand_name="Toll & Gate")
    assert "Toll &amp; Gate" in owner.get("/admin/").text


OUT_OF_BOUNDS = (
    ("overdraft", "-1"), ("default_margin", "100"), ("parallel_calls", "0"), ("parallel_calls", "NaN"),
    ("registration", "maybe"), ("require_verified_email", "2"), ("brand_name", ""), ("brand_name", "x" * 61),
    ("max_output_tokens", "255"), ("welcome_credit", "1e3"),
    ("support_email", "a@"), ("support_email", "Müller, Help <help@example.com>"),
)  # fmt: skip


def test_a_value_out_of_bounds_is_refused_at_its_field(owner: AdminClient, session: Database) -> None:
    refused = {}
    form = owner.form("/admin/setting/")
    for key, typed in OUT_OF_BOUNDS:
        answer = owner.send("/admin/setting/", form | {key: typed})
        refused[key, typed] = (answer.status_code, 'class="errors"' in at_field(answer.text, key))
    assert refused == dict.fromkeys(OUT_OF_BOUNDS, (422, True))
    assert stored(session) == {}


def test_the_address_of_the_support_is_one_or_none(owner: AdminClient, session: Database) -> None:
    for typed in ("help@example.com", ""):
        assert owner.fill("/admin/setting/", support_email=typed).status_code == 302
        assert stored(session) == {"support_email": typed}


def test_unknown_keys_are_not_stored(owner: AdminClient, session: Database) -> None:
    owner.fill("/admin/setting/", secret_key="mine", is_admin="1")
    assert stored(session) == {}


def test_the_change_is_recorded(owner: AdminClient, session: Database) -> None:
    owner.fill("/admin/setting/", registration="invite", reason="too many robots")
    change = session.scalars(select(AdminChange)).one()
    assert (change.subject, change.subject_id, change.reason) == (
        "settings",
        "registration",
        "too many robots",
    )
    assert change.changes == {"value": ["open", "invite"]}
    assert CREDIT


def test_the_currency_is_chosen_before_the_first_sale_and_converts_what_is_not_sold(
    owner: AdminClient, client: FlaskClient, session: Database
) -> None:
    plus, pack = session.query(Plan).filter_by(name="Plus").one(), session.query(CreditPack).first()
    plus.sale_price_cents, plus.sale_ends_at, pack.price_cents = 1990, utcnow() + timedelta(days=9), 30
    recharge = AutoRecharge(account_id=person("ada").id, pack_id=pack.id, is_on=True, monthly_max_cents=5000)
    session.add(recharge)
    session.commit()
    assert owner.fill("/admin/setting/", currency="jpy", currency_rate="0.0066").status_code == 302
    assert (plus.price_cents, plus.currency, plus.worth_nanos) == (3000, "jpy", 9_900 * 10**6)
    assert (pack.price_cents, plus.sale_price_cents, plus.sale_ends_at) == (50, None, None)
    assert (Setting.get("any_amount_lowest"), Setting.get("payment_fee_cents")) == (760, 45)
    assert recharge.monthly_max_cents == 7575
    page = client.get("/pricing").text
    assert "¥3,000" in page
    assert "330 credits per ¥100" in page
    assert "$" not in page.split("<main")[1].split('id="models"')[0]
    assert owner.fill("/admin/setting/", currency_rate="0.007").status_code == 302
    session.expire_all()
    Setting.forget()
    assert (plus.price_cents, plus.worth_nanos) == (3000, 10_500 * 10**6)


def test_a_currency_or_rate_that_cannot_be_is_refused_at_its_field(owner: AdminClient) -> None:
    for currency, rate, field, why in (
        ("usd", "1.1", "currency_rate", "a dollar is worth a dollar"),
        ("kwd", "3.1234567", "currency_rate", "at most 6 decimals"),
        ("jpy", "0", "currency_rate", "At least"),
        ("xxx", "1", "currency", "Not a valid choice"),
    ):
        refused = owner.fill("/admin/setting/", currency=currency, currency_rate=rate)
        assert (refused.status_code, why in at_field(refused.text, field)) == (422, True), currency


def test_once_something_was_sold_the_currency_is_fixed(owner: AdminClient, session: Database) -> None:
    account = person("ada")
    session.add(Payment(account_id=account.id, kind="pack", price_cents=1000, currency="usd"))
    session.commit()
    refused = owner.fill("/admin/setting/", currency="eur", currency_rate="1.08")
    assert "is fixed: something was sold" in at_field(refused.text, "currency")
    assert session.query(Plan).filter_by(currency="eur").count() == 0
