"""Accounts: found, read, and given credits by entries with an author and a reason."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models.billing.audit import audit
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from app.models.identity.user import User, UserSession
from app.models.operations.refused_call import RefusedCall
from tests.admin.conftest import AdminClient
from tests.support import Database, people
from tests.support.people import CREDIT

ONCE = "0123456789abcdef" * 2


def credits(session: Database, account: Account) -> int:
    session.rollback()
    return session.get(Account, account.id).credits_nanos


def give(
    client_of: AdminClient,
    account: Account,
    amount: str,
    reason: str = "sorry for the wait",
    once: str = ONCE,
) -> TestResponse:
    return client_of.post("/admin/account/grant/", id=account.id, amount=amount, reason=reason, once=once)


@pytest.mark.databases("sqlite", "postgresql")
def test_a_grant_is_an_entry_with_author_and_reason(owner: AdminClient, ada: Account, session: Database) -> None:
    assert give(owner, ada, "12,5").status_code == 302
    entry = session.scalars(select(LedgerEntry).order_by(LedgerEntry.id.desc())).first()
    assert (entry.kind, entry.credits_nanos, entry.reason) == ("grant", 12_500_000, "sorry for the wait")
    assert entry.actor.email == "person-owner@example.com"
    assert credits(session, ada) == 112_500_000
    assert not list(audit())


@pytest.mark.databases("sqlite", "postgresql")
def test_accounts_and_people_are_found_in_every_script(owner: AdminClient, session: Database) -> None:
    people.person("bob")
    account = people.person("eve")
    account.memberships[0].user.name = account.name = "Øystein Ångström"
    session.commit()
    bob = ">Bob<"  # three letters alone may come up in a nonce
    assert bob in owner.get("/admin/account/").text
    for typed in ("øystein", "ÅNGSTRÖM", "EVE@"):
        page = owner.get(f"/admin/account/?search={typed}").text
        assert ("Øystein" in page, bob in page) == (True, False)
    page = owner.get("/admin/user/?search=øystein ÅNG").text
    assert ("Øystein" in page, "bob@" in page) == (True, False)


def test_credits_can_be_taken_below_zero(owner: AdminClient, ada: Account, session: Database) -> None:
    give(owner, ada, "-150")
    assert credits(session, ada) == -50 * CREDIT
    assert ">150 credits removed." in owner.get(f"/admin/account/details/?id={ada.id}").text


def test_a_form_that_is_sent_twice_posts_once(owner: AdminClient, ada: Account, session: Database) -> None:
    give(owner, ada, "5")
    give(owner, ada, "5")
    assert credits(session, ada) == 105 * CREDIT


def test_a_grant_needs_a_sound_amount_and_a_reason(owner: AdminClient, ada: Account, session: Database) -> None:
    for amount, reason in (("5", ""), ("", "x"), ("0", "x"), ("NaN", "x"), ("99999999999", "x"), ("0.0000001", "x")):
        assert give(owner, ada, amount, reason).status_code == 422, amount
    assert credits(session, ada) == 100 * CREDIT


def test_the_support_grants_within_its_day(support: AdminClient, ada: Account, session: Database) -> None:
    Setting.put("support_grant_daily", 10 * CREDIT)
    session.commit()
    assert give(support, ada, "6").status_code == 302
    refused = give(support, ada, "-5", once="f" * 32)
    assert refused.status_code == 422
    assert "4 left today" in refused.text
    assert credits(session, ada) == 106 * CREDIT


def test_the_story_shows_balances_ledger_and_members(owner: AdminClient, ada: Account, session: Database) -> None:
    session.add(RefusedCall(account_id=ada.id, user_id=ada.memberships[0].user_id, code="daily_limit_reached"))
    session.commit()
    page = owner.get(f"/admin/account/details/?id={ada.id}").text
    assert "ada@example.com" in page
    assert ("Granted" in page, "daily limit reached" in page, ">None<" in page) == (True, True, False)


def test_accounts_are_filtered_by_their_state(owner: AdminClient, ada: Account) -> None:
    for given in ("frozen", "debt", "empty"):
        assert "ada@example.com" not in owner.get(f"/admin/account/?flt2_status_is={given}").text, given


def test_signing_out_everywhere_ends_the_sessions(owner: AdminClient, ada: Account, session: Database) -> None:
    user = ada.memberships[0].user
    UserSession.begin(user, ada.id)
    people.api_key(ada)
    owner.post("/admin/user/sign-out/", id=user.id)
    session.rollback()
    assert session.scalars(select(UserSession).where(UserSession.user_id == user.id)).all() == []
    assert ApiKey.count_of(user.id) == 1
    owner.post("/admin/user/sign-out/", id=user.id, keys="revoke")
    assert ApiKey.count_of(user.id) == 0


def test_an_owner_appoints_a_support(owner: AdminClient, ada: Account, session: Database) -> None:
    owner.post("/admin/user/appoint/", id=ada.memberships[0].user_id, appointed="support")
    session.rollback()
    assert session.scalars(select(User.admin_role).where(User.email == "ada@example.com")).one() == "support"


def test_a_person_who_asks_for_it_is_deleted_once_their_email_was_typed(
    owner: AdminClient, ada: Account, session: Database
) -> None:
    who = ada.memberships[0].user_id
    for typed, is_there in (("bob@example.com", True), (" Ada@example.com", False)):
        owner.post("/admin/user/erase/", id=who, email=typed)
        session.rollback()
        assert (User.with_email("ada@example.com") is not None) is is_there
    assert session.get(Account, ada.id).closed_at is not None
    page = owner.get(f"/admin/user/details/?id={who}").text
    assert ("Delete person" in page, "For this person" in page) == (False, False)


def test_who_alone_owns_a_team_of_others_is_not_deleted(owner: AdminClient, ada: Account, session: Database) -> None:
    team, bob = Account.open(ada.memberships[0].user, kind="team", name="Ferries"), people.person("bob")
    session.add(Membership(account=team, user=bob.memberships[0].user, role="member"))
    session.commit()
    owner.post("/admin/user/erase/", id=ada.memberships[0].user_id, email="ada@example.com")
    session.rollback()
    assert (User.with_email("ada@example.com") is not None, session.get(Account, team.id).closed_at) == (True, None)


def test_nobody_changes_their_own_role(owner: AdminClient, session: Database) -> None:
    me = User.with_email("person-owner@example.com")
    owner.post("/admin/user/appoint/", id=me.id, appointed="support")
    session.rollback()
    assert User.with_email("person-owner@example.com").admin_role == "owner"


@pytest.mark.parametrize(("path", "sent"), [("appoint", {"appointed": ""}), ("disable", {"switch": "on"})])
def test_two_owners_never_remove_each_other(
    path: str,
    sent: dict[str, str],
    owner: AdminClient,
    client_of: Callable[..., AdminClient],
    session: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = User.with_email("person-owner@example.com"), client_of("support")
    two = User.with_email("person-support@example.com")
    two.admin_role = "owner"
    pairs = [(owner, two.id, owner.token()), (other, one.id, other.token())]
    ids = one.id, two.id
    session.commit()
    hold, meet = User.hold_with_owner, Barrier(2)

    def hold_together(*ids: int) -> bool:
        meet.wait(10)
        return hold(*ids)

    def remove(pair: tuple[AdminClient, int, str]) -> int:
        who, whom, token = pair
        answer = who.client.post(f"/admin/user/{path}/", data={"csrf_token": token, "id": whom, **sent})
        return int(answer.status_code)

    monkeypatch.setattr(User, "hold_with_owner", hold_together)
    with ThreadPoolExecutor(2) as crowd:
        assert sorted(crowd.map(remove, pairs)) == [302, 403]
    session.rollback()
    is_owner = User.admin_role == "owner", User.disabled_at.is_(None)
    assert len(session.scalars(select(User.id).where(User.id.in_(ids), *is_owner)).all()) == 1
