"""Refills: found out at the gate, once per account and month, then debts repaid. billing-rules.md 4 and 7."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import time_machine

from app.extensions import db
from app.models.billing.allowance_refill import (
    give_welcome_credit,
    monthly_amount,
    next_refill,
    refill,
    refill_if_due,
)
from app.models.billing.audit import audit
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from app.models.identity.account import Account, anniversary, months_between
from tests.support import Database
from tests.support.people import CREDIT, give, person

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def account(session: Database) -> Account:
    """ada's personal account, opened on the 31st of January 2026, without its first refill."""
    with time_machine.travel(at("2026-01-31T12:00"), tick=False):
        account = person("ada")
        account.period_end = account.created_at
        return account


def refilled(account: Account, moment: str) -> list[str]:
    """The months that the ledger states refills for, after the gate was passed at that moment."""
    refill_if_due(account, at(moment))
    return [entry.month or "" for entry in reversed(account.entries()) if entry.kind == "refill"]


def test_anniversaries_fall_on_the_months_last_day_where_it_is_short() -> None:
    start = at("2026-01-31T12:00")
    days = [anniversary(start, months).date().isoformat() for months in (0, 1, 2, 3, 11, 12, 25)]
    assert days[:4] == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    assert days[4:] == ["2026-12-31", "2027-01-31", "2028-02-29"]


def test_months_between_counts_only_anniversaries_that_have_come() -> None:
    start = at("2026-01-31T12:00")
    moments = "2026-02-28T11:59", "2026-02-28T12:00", "2027-01-31T12:00", "2028-03-01T00:00"
    assert [months_between(start, at(text)) for text in moments] == [0, 1, 12, 25]


def test_the_first_refill_gives_the_plans_allowance(account: Account) -> None:
    refill_if_due(account, at("2026-01-31T12:00"))
    assert (account.allowance_nanos, account.period_end) == (500 * CREDIT, at("2026-02-28T12:00"))


def test_a_month_is_refilled_once_however_often_it_is_looked_at(account: Account) -> None:
    for _ in range(3):
        account.period_end = account.created_at
        refilled(account, "2026-02-10T00:00")
    assert refilled(account, "2026-02-10T00:00") == ["2026-01"]


def test_months_that_nobody_came_in_are_not_made_up_for(account: Account) -> None:
    refilled(account, "2026-01-31T12:00")
    assert refilled(account, "2026-05-02T00:00") == ["2026-01", "2026-04"]


def test_unused_allowance_ends_with_the_next_refill(account: Account) -> None:
    refilled(account, "2026-01-31T12:00")
    give(account, allowance=-100 * CREDIT)
    refilled(account, "2026-03-01T00:00")
    assert account.allowance_nanos == 500 * CREDIT


def test_a_refill_repays_a_debt_as_far_as_it_goes(account: Account) -> None:
    give(account, credits=-700 * CREDIT)
    refill_if_due(account, at("2026-01-31T12:00"))

    moved = [(e.kind, e.allowance_nanos, e.credits_nanos) for e in account.entries()[:2]]
    assert moved == [("debt_repaid", -500 * CREDIT, 500 * CREDIT), ("refill", 500 * CREDIT, 0)]
    assert (account.allowance_nanos, account.credits_nanos) == (0, -200 * CREDIT)


def test_changing_plans_within_a_month_mints_nothing(account: Account, session: Database) -> None:
    free, other = account.plan, session.query(Plan).filter_by(name="Pay as you go").one()
    refilled(account, "2026-01-31T12:00")
    for plan in (other, free, other, free):
        account.plan = plan
        account.period_end = account.created_at
        refilled(account, "2026-02-10T00:00")
    assert [e.kind for e in account.entries()] == ["refill"]


def test_a_refill_of_any_plan_stands_for_its_month(account: Account) -> None:
    refill(account, account.plan, 9 * CREDIT, key="refill:sub_1:1770000000", month="2026-01")
    assert refilled(account, "2026-02-10T00:00") == ["2026-01"]


def test_free_allowance_is_once_per_address_and_month_also_after_deletion(account: Account) -> None:
    refilled(account, "2026-01-31T12:00")
    account.memberships[0].user.email = "gone@example.com"
    with time_machine.travel(at("2026-01-31T13:00"), tick=False):
        again = person("eve")
    again.memberships[0].user.email = "Ada+again@example.com"
    again.period_end = again.created_at
    assert refilled(again, "2026-01-31T13:00") == []
    assert again.allowance_nanos == 0


def test_the_free_allowance_of_an_address_stays_with_the_account_that_has_it(account: Account) -> None:
    """What one account is promised, another spelling of its address can't take; to that one nothing is promised."""
    refilled(account, "2026-01-31T12:00")
    with time_machine.travel(at("2026-02-10T12:00"), tick=False):
        other = person("eve")
    other.memberships[0].user.email, other.period_end = "Ada+again@example.com", other.created_at
    assert refilled(other, "2026-02-10T12:00") == []
    assert (monthly_amount(other, other.plan), next_refill(other, at("2026-02-10T12:00"))) == (0, None)
    assert next_refill(account, at("2026-02-10T12:00")).at == at("2026-02-28T12:00")
    assert refilled(account, "2026-02-28T12:00") == ["2026-01", "2026-02"]
    account.close()
    assert refilled(other, "2026-03-10T12:00") == ["2026-03"]


def test_a_team_gets_no_free_allowance(session: Database, account: Account) -> None:
    team = Account.open(account.owner, kind="team", name="Ada & Co")
    refill_if_due(team)
    assert team.allowance_nanos == 0


def test_the_free_allowance_waits_for_the_address_to_be_verified(
    account: Account, require_verified_email: Callable[..., None]
) -> None:
    account.owner.email_verified_at = None
    require_verified_email()
    assert refilled(account, "2026-02-01T00:00") == []
    account.owner.verify_email()
    assert refilled(account, "2026-02-01T00:00") == ["2026-01"]


def test_an_entry_posts_once_per_key(account: Account) -> None:
    posted = [LedgerEntry.post(account, "grant", "grant:1", credits=5) for _ in range(2)]
    assert posted[1] is None
    assert account.credits_nanos == 5


@pytest.mark.parametrize("figure", ["allowance_nanos", "credits_nanos", "reserved_nanos", "running_calls"])
def test_the_audit_names_a_figure_that_is_off_by_one(account: Account, session: Database, figure: str) -> None:
    refill_if_due(account, at("2026-01-31T12:00"))
    session.flush()
    assert list(audit()) == []

    setattr(account, figure, getattr(account, figure) + 1)
    session.flush()
    assert [(result.account_id, result.figure) for result in audit()] == [(account.id, figure)]


def test_a_debt_is_repaid_to_zero_and_no_further(account: Account) -> None:
    give(account, credits=-1)
    refill_if_due(account, at("2026-01-31T12:00"))
    assert (account.allowance_nanos, account.credits_nanos) == (500 * CREDIT - 1, 0)


def test_a_closed_account_gets_nothing(account: Account) -> None:
    account.closed_at = account.created_at
    assert refilled(account, "2026-02-01T00:00") == []


def test_the_welcome_credit_is_once_for_an_account_and_once_for_an_address(account: Account, session: Database) -> None:
    Setting.put("welcome_credit", 20 * CREDIT)
    session.flush()
    team = Account.open(account.owner, kind="team", name="Ada & Co")
    for one in (account, account, team):
        give_welcome_credit(one)
    assert (account.credits_nanos, team.credits_nanos) == (20 * CREDIT, 0)
    account.owner.email = "new@example.com"
    give_welcome_credit(account)
    assert account.credits_nanos == 20 * CREDIT


def test_an_account_that_an_admin_froze_stays_so_when_a_dispute_is_won(account: Account) -> None:
    account.freeze("admin")
    account.freeze("dispute")
    account.unfreeze("dispute")
    assert account.frozen_by == "admin"
    account.unfreeze("admin")
    assert (account.frozen_by, account.frozen_at) == (None, None)
    account.freeze("dispute")
    account.unfreeze("admin")
    assert account.frozen_by is None


def test_the_welcome_credit_is_for_a_person_whose_address_is_verified_where_that_is_asked(
    account: Account, require_verified_email: Callable[..., None]
) -> None:
    Setting.put("welcome_credit", 20 * CREDIT)
    db.session.flush()
    team = Account.open(account.owner, kind="team", name="Ada & Co")
    give_welcome_credit(team)
    account.owner.email_verified_at = None
    require_verified_email()
    give_welcome_credit(account)
    assert (team.credits_nanos, account.credits_nanos) == (0, 0)
    account.owner.verify_email()
    give_welcome_credit(account)
    assert account.credits_nanos == 20 * CREDIT
