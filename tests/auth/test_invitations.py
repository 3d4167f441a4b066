"""Invitations: a link that lets one address into a team, once, within seven days."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine

from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.invitation import Invitation
from app.models.identity.membership import Membership
from app.models.identity.user import User
from tests.auth.conftest import Browser, PostOffice
from tests.support import Database
from tests.support.people import PASSWORD

BOB = "bob@example.com"


@pytest.fixture
def ada(signed_in: Callable[..., Browser]) -> Browser:
    """ada, in a team of hers."""
    browser = signed_in("ada")
    assert browser.send("/account/teams", name="Gate keepers").status_code == 302
    return browser


@pytest.fixture
def link(ada: Browser, post_office: PostOffice) -> str:
    """The path of the link that bob was mailed."""
    assert ada.send("/account/invitations", email=BOB, role="member").status_code == 302
    return post_office.link_to(BOB)


def role_of(session: Database, address: str) -> str | None:
    """The person's role in the one team that there is."""
    session.expire_all()
    team, user = session.query(Account).filter_by(kind="team").one(), User.with_email(address)
    membership = Membership.of(user.id, team.id) if user else None
    return membership.role if membership else None


def test_nobody_invites_by_an_email_that_they_have_not_confirmed(
    guest: Browser, post_office: PostOffice, session: Database, require_verified_email: Callable
) -> None:
    """The mail would come in the name of whoever has that email."""
    require_verified_email()
    guest.sign_up("ada")
    guest.send("/account/teams", name="Gate keepers")
    assert guest.send("/account/invitations", email=BOB, role="member").status_code == 400
    guest.get(post_office.link_to("ada@example.com"))
    assert guest.send("/account/invitations", email=BOB, role="member").status_code == 302
    assert len(post_office.mails_to(BOB)) == 1


def test_the_invited_joins_and_is_in_the_team(
    link: str, signed_in: Callable, session: Database, post_office: PostOffice
) -> None:
    """The mail says why it came, of its secret a hash is kept, and a look at the link accepts nothing."""
    foot = " ".join(post_office.mails_to(BOB)[-1].partition("-- ")[2].split())
    assert foot.startswith("You're getting this email because you were invited to the team Gate keepers at")
    secret = link.rsplit("/", 1)[1]
    assert len(secret) * 6 >= 128
    assert secret not in session.query(Invitation).one().secret_hash
    bob = signed_in("bob")
    assert (bob.get(link).status_code, role_of(session, BOB)) == (200, None)
    assert ">Your accounts<" not in bob.get("/chat/999").text
    assert bob.send(link).location == "/chat"
    assert role_of(session, BOB) == "member"
    assert ">Your accounts<" in bob.get("/chat/999").text, "the chat may be another account's"
    assert "Gate keepers" in bob.get("/account").text
    pricing = bob.get("/pricing").text
    assert ("No free credits for a team" in pricing, "50 credits a day" in pricing) == (True, False)


def test_a_guest_is_asked_to_sign_up_or_in_and_comes_back(link: str, guest: Browser, session: Database) -> None:
    page = guest.get(link)
    assert (page.status_code, f"/signup?next={link}" in page.text) == (200, True)
    assert guest.send(link).status_code in {302, 401}
    assert guest.sign_up("bob", next=link).location == link
    assert User.with_email(BOB).is_verified, "the link came to that address"
    guest.send(link)
    assert role_of(session, BOB) == "member"


def test_the_link_is_for_its_address_alone(link: str, guest: Browser, session: Database) -> None:
    guest.sign_up("eve", next=link)
    assert not User.with_email("eve@example.com").is_verified
    assert guest.send(link).status_code == 403
    assert role_of(session, "eve@example.com") is None


def test_the_link_works_once(link: str, signed_in: Callable, ada: Browser, session: Database) -> None:
    bob = signed_in("bob")
    bob.send(link)
    bob.send("/account/leave")
    assert (bob.send(link).status_code, role_of(session, BOB)) == (404, None)


def test_the_link_dies_after_seven_days(link: str, signed_in: Callable, session: Database) -> None:
    bob = signed_in("bob")
    with time_machine.travel(utcnow() + timedelta(days=6, hours=23)):
        assert bob.get(link).status_code == 200
    with time_machine.travel(utcnow() + timedelta(days=7, minutes=1)):
        assert bob.send(link).status_code == 404
    assert role_of(session, BOB) is None


def test_an_invitation_that_is_taken_back_is_dead(
    link: str, ada: Browser, signed_in: Callable, session: Database
) -> None:
    ada.send(f"/account/invitations/{session.query(Invitation).one().id}/revoke")
    assert signed_in("bob").send(link).status_code == 404


def test_a_change_of_address_kills_it(link: str, signed_in: Callable, session: Database) -> None:
    bob = signed_in("bob")
    User.with_email(BOB).change_email("bob@new.example.com")
    session.commit()
    assert bob.send(link).status_code == 403


def test_inviting_again_sends_a_new_link_and_kills_the_old(
    link: str, ada: Browser, guest: Browser, post_office: PostOffice, session: Database
) -> None:
    ada.send("/account/invitations", email=BOB, role="admin")
    new = post_office.link_to(BOB)
    assert (guest.get(link).status_code, guest.get(new).status_code) == (404, 200)
    assert session.query(Invitation).count() == 1


def test_who_is_in_is_not_invited_again(link: str, ada: Browser, signed_in: Callable, session: Database) -> None:
    """A role is changed at its place: joining again would change nothing."""
    signed_in("bob").send(link)
    refused = ada.send("/account/invitations", email=BOB.upper(), role="admin")
    assert (refused.status_code, "is a member of this team already" in refused.text) == (400, True)
    assert session.query(Invitation).filter_by(accepted_at=None).count() == 0


def test_a_closed_team_takes_nobody_in(link: str, ada: Browser, signed_in: Callable) -> None:
    ada.send("/account/close", current_password=PASSWORD)
    assert signed_in("bob").send(link).status_code == 404


def test_a_personal_account_takes_nobody_in(signed_in: Callable, session: Database) -> None:
    answer = signed_in("bob").send("/account/invitations", email="eve@example.com", role="member")
    assert (answer.status_code, session.query(Invitation).count()) == (403, 0)


def test_where_an_invitation_is_needed_it_lets_its_address_in(link: str, guest: Browser, session: Database) -> None:
    Setting.put("registration", "invite")
    session.commit()
    assert guest.sign_up("eve", next=link).status_code == 400
    assert guest.sign_up("bob", next=link).status_code == 302


def test_the_same_answer_whether_the_invited_has_an_account(ada: Browser, signed_in: Callable) -> None:
    signed_in("bob")
    known = ada.send("/account/invitations", email=BOB, role="member")
    unknown = ada.send("/account/invitations", email="eve@example.com", role="member")
    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)


@pytest.mark.parametrize("loss", ["removed", "demoted", "disabled"])
def test_an_invitation_ends_with_the_right_that_it_was_sent_by(
    ada: Browser, signed_in: Callable, post_office: PostOffice, session: Database, loss: str
) -> None:
    """eve, an admin, invites another address of hers as admin; then her right ends."""
    team = session.query(Account).filter_by(kind="team").one()
    eve = signed_in("eve")
    place = Membership(account=team, user=User.with_email("eve@example.com"), role="admin")
    session.add(place)
    session.commit()
    eve.send("/account/switch", account_id=team.id)
    assert eve.send("/account/invitations", email=BOB, role="admin").status_code == 302
    link, bob = post_office.link_to(BOB), signed_in("bob")
    if loss == "disabled":
        User.with_email("eve@example.com").disable()
        session.commit()
    else:
        change = ("remove", {}) if loss == "removed" else ("role", {"role": "member"})
        assert ada.send(f"/account/members/{place.id}/{change[0]}", **change[1]).status_code == 302
    assert (bob.get(link).status_code, bob.send(link).status_code) == (404, 404)
    assert role_of(session, BOB) is None
    assert "No longer works" in ada.get("/account").text
