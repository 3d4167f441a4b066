"""Settings: name, address, password, browsers, keys, deletion."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine

from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from app.models.identity.user import User, UserSession
from app.models.metering.usage import Usage
from tests.auth.conftest import Browser, PostOffice
from tests.support import Database, people
from tests.support.people import CREDIT, PASSWORD

ADA, NEW_ADDRESS = "ada@example.com", "ada@new.example.com"
NEW = "a quite new password"


@pytest.fixture
def ada(signed_in: Callable[..., Browser]) -> Browser:
    return signed_in("ada")


def test_a_name_is_one_line_of_text(ada: Browser, session: Database) -> None:
    ada.send("/settings/profile", name=" Ada\r\nBcc: Eve\x00 Lovelace ")
    user = User.with_email(ADA)
    assert user.name == session.get_one(Account, user.home_id).name == "Ada Bcc: Eve Lovelace"


def test_new_chats_begin_with_ones_instructions_and_others_keep_their_own(ada: Browser, session: Database) -> None:
    before = ada.get("/chat").text
    ada.send("/settings/instructions", system_prompt=" Answer in French.\x00\r\nBriefly. ")
    assert User.with_email(ADA).chat_instructions == "Answer in French.\nBriefly."
    assert ("Answer in French." in before, "Answer in French." in ada.get("/chat").text) == (False, True)
    too_long = "x" * 400_000
    refused = ada.send("/settings/instructions", system_prompt=too_long)
    assert (refused.status_code, too_long in refused.text) == (400, True)
    assert "Is longer than one message may be." in refused.text
    assert User.with_email(ADA).chat_instructions == "Answer in French.\nBriefly."


def test_prompts_are_kept_and_go_into_the_chat(ada: Browser) -> None:
    assert 'id="prompts" popover' not in ada.get("/chat").text
    kept = ada.client.post(
        "/settings/prompts", data={"csrf_token": ada.token(), "prompt": [" Be\r\nbrief <b> ", "", "Again", "Again"]}
    )
    assert kept.status_code == 302
    assert User.with_email(ADA).prompts == ["Be\nbrief <b>", "Again"]
    assert 'data-suggestion="Be\nbrief &lt;b&gt;"' in ada.get("/chat").text
    refused = ada.send("/settings/prompts", prompt="x" * 4_001)
    assert (refused.status_code, "Must have at most 4,000 characters each." in refused.text) == (400, True)
    ada.send("/settings/prompts", prompt="")
    assert User.with_email(ADA).prompts == []


def test_a_new_address_counts_once_its_link_is_opened(ada: Browser, post_office: PostOffice, session: Database) -> None:
    ada.send("/settings/email", email=NEW_ADDRESS, current_password=PASSWORD)
    assert User.with_email(ADA).is_verified
    ada.get(post_office.link_to(NEW_ADDRESS))
    session.expire_all()
    assert (User.with_email(ADA), User.with_email(NEW_ADDRESS).is_verified) == (None, True)
    assert f"now uses {NEW_ADDRESS}" in post_office.mails_to(ADA)[-1]


def test_an_address_is_not_changed_without_the_password(ada: Browser, post_office: PostOffice) -> None:
    assert ada.send("/settings/email", email=NEW_ADDRESS, current_password="a wrong password").status_code == 400
    assert post_office.mails_to(NEW_ADDRESS) == []


def test_somebody_elses_address_gets_the_same_answer_and_no_link(
    ada: Browser, signed_in: Callable, post_office: PostOffice
) -> None:
    signed_in("bob")
    known = ada.send("/settings/email", email="bob@example.com", current_password=PASSWORD)
    unknown = ada.send("/settings/email", email="eve@example.com", current_password=PASSWORD)
    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)
    assert post_office.mails_to("bob@example.com") == []


def test_an_address_that_was_taken_meanwhile_is_not_taken_over(
    ada: Browser, new_browser: Callable, post_office: PostOffice
) -> None:
    ada.send("/settings/email", email=NEW_ADDRESS, current_password=PASSWORD)
    link = post_office.link_to(NEW_ADDRESS)
    new_browser().send("/signup", email=NEW_ADDRESS, password=PASSWORD)
    assert ada.get(link).status_code == 404
    assert ada.get("/settings").text.count(ADA) >= 1


def test_a_new_password_keeps_this_browser_and_ends_the_others(ada: Browser, new_browser: Callable) -> None:
    other = new_browser()
    other.sign_in("ada")
    assert ada.send("/settings/password", current_password=PASSWORD, password=NEW).status_code == 302
    assert (ada.is_signed_in, other.is_signed_in) == (True, False)
    assert (other.sign_in("ada").status_code, other.sign_in("ada", NEW).status_code) == (400, 302)


def test_a_copy_of_the_old_cookie_is_dead_after_a_new_password(ada: Browser, new_browser: Callable) -> None:
    thief = new_browser()
    thief.client.set_cookie("session", ada.client.get_cookie("session").value, domain="localhost")
    ada.send("/settings/password", current_password=PASSWORD, password=NEW)
    assert not thief.is_signed_in


def test_a_password_is_not_changed_by_half(ada: Browser, new_browser: Callable) -> None:
    for fields in (
        {"current_password": "a wrong password", "password": NEW},
        {"current_password": PASSWORD, "password": "short"},
        {"password": NEW},
        {"current_password": PASSWORD},
    ):
        assert ada.send("/settings/password", **fields).status_code == 400, fields
    assert new_browser().sign_in("ada").status_code == 302


def test_signing_out_everywhere_ends_all_browsers(ada: Browser, new_browser: Callable) -> None:
    other = new_browser()
    other.sign_in("ada")
    ada.send("/settings/sessions/end")
    assert (ada.is_signed_in, other.is_signed_in) == (False, False)


def test_one_browser_can_be_ended_by_itself(ada: Browser, new_browser: Callable, session: Database) -> None:
    other = new_browser()
    other.sign_in("ada")
    newest = session.query(UserSession).order_by(UserSession.id.desc()).first()
    ada.send(f"/settings/sessions/{newest.id}/end")
    assert (ada.is_signed_in, other.is_signed_in) == (True, False)


def test_a_session_ends_by_its_age(ada: Browser) -> None:
    """However often its person comes by."""
    statuses, now = [], utcnow()
    for days in (29, 58, 87, UserSession.LONGEST.days + 1):
        with time_machine.travel(now + timedelta(days=days)):
            statuses.append(ada.get("/settings", headers={"Sec-Fetch-Mode": "navigate"}).status_code)
    assert statuses == [200, 200, 200, 302]


def test_a_session_that_is_over_is_not_shown_and_soon_forgotten(
    ada: Browser, new_browser: Callable, session: Database
) -> None:
    other, now = new_browser(), utcnow()
    with time_machine.travel(now + timedelta(days=UserSession.LONGEST.days - 1)):
        other.sign_in("ada")
        assert len(ended_by(other)) == 1
    with time_machine.travel(now + timedelta(days=UserSession.LONGEST.days + 1)):
        assert ended_by(other) == []
        new_browser().sign_in("ada")
    assert session.query(UserSession).count() == 2


def ended_by(browser: Browser) -> list[str]:
    """The other browsers that the page of settings offers to sign out."""
    return re.findall(r"/settings/sessions/(\d+)/end", browser.get("/settings").text)


def test_a_key_that_was_just_made_works(ada: Browser, session: Database) -> None:
    location = ada.send("/settings/keys", name="robot").location
    assert location.endswith("#keys"), "the secret is far down the page"
    page = ada.get(location).text
    secret = page[page.index(session.query(ApiKey).one().prefix) :].split("<")[0]
    bearer = {"Authorization": f"Bearer {secret}"}
    assert f'/api/balance -H "Authorization: Bearer {secret}"' in page
    assert ada.client.application.test_client().get("/api/balance", headers=bearer).status_code == 200


def test_a_key_that_is_revoked_is_dead(ada: Browser, session: Database) -> None:
    user = User.with_email(ADA)
    key, secret = ApiKey.make(user.home_id, user.id, "robot")
    session.commit()
    ada.send(f"/settings/keys/{key.id}/revoke")
    bearer = {"Authorization": f"Bearer {secret}"}
    assert ada.client.application.test_client().get("/api/balance", headers=bearer).status_code == 401


def test_a_key_gets_limits_and_a_new_secret_on_the_page(ada: Browser, session: Database) -> None:
    limits = {"monthly_limit_credits": "1,000", "total_limit_credits": "2500.5", "models": ["demo-fast"]}
    assert ada.send("/settings/keys", name="robot", **limits).status_code == 303
    key = session.query(ApiKey).one()
    assert (key.monthly_limit_nanos, key.total_limit_nanos) == (1000 * CREDIT, 2500 * CREDIT + CREDIT // 2)
    assert key.models == ["demo-fast"]
    people.model()
    use(key, session)
    shown = " ".join(ada.get("/settings").text.split())
    assert "200 credits this month of 1,000, 300 in all of 2,500.5" in shown, shown[shown.index("this month") - 60 :][
        :200
    ]
    secret = ada.get(ada.send(f"/settings/keys/{key.id}/rotate").location).text
    session.refresh(key)
    assert (key.prefix in secret, key.monthly_limit_nanos) == (True, 1000 * CREDIT)
    assert ada.send(f"/settings/keys/{key.id}/limits", total_limit_credits="20").status_code == 302
    session.refresh(key)
    assert (key.monthly_limit_nanos, key.total_limit_nanos, key.models) == (None, 20 * CREDIT, [])
    key.expires_at = utcnow()
    session.commit()
    assert ada.send(f"/settings/keys/{key.id}/rotate").status_code == 404


def test_a_key_stays_kept_to_a_model_that_is_off_sale(ada: Browser, session: Database) -> None:
    """The form of its limits, sent as it is shown, allows it no other model."""
    ada.send("/settings/keys", name="robot", models=["demo-fast"])
    AIModel.named("demo-fast").is_for_sale = False
    session.commit()
    ticked = r'<input type="checkbox" name="models" value="([^"]+)" checked>'
    assert re.findall(ticked, ada.get("/settings").text) == ["demo-fast"]


def use(key: ApiKey, session: Database) -> None:
    """A call of today for 200 credits, and one of last year for 100."""
    price = session.query(ModelPrice).order_by(ModelPrice.id.desc()).first()
    own = {"account_id": key.account_id, "user_id": key.user_id, "api_key_id": key.id, "price_id": price.id}
    ended = {"model": "gpt-test", "state": "settled", "reserved_nanos": 0, "max_output_tokens": 1}
    for day, credits in ((utcnow().date(), 200), (utcnow().date() - timedelta(days=365), 100)):
        paid = {"cost_nanos": credits * CREDIT, "credits_paid_nanos": credits * CREDIT}
        session.add(Usage(day=day, **own, **ended, **paid))
    session.commit()


@pytest.mark.parametrize("name", ["monthly_limit_credits", "total_limit_credits", "models"])
def test_limits_that_are_none_are_told_at_their_field(ada: Browser, session: Database, name: str) -> None:
    page = ada.send("/settings/keys", name="robot", **{name: "many"})
    assert (page.status_code, session.query(ApiKey).count()) == (400, 0)
    assert name == "models" or '<ul class="errors"><li>Enter a number, such as 20 or 20.00.</li>' in page.text
    user = User.with_email(ADA)
    key, _secret = ApiKey.make(user.home_id, user.id, "robot")
    session.commit()
    assert ada.send(f"/settings/keys/{key.id}/limits", **{name: "many"}).status_code == 400


def test_a_deleted_person_is_gone_and_the_receipts_stay(ada: Browser, session: Database) -> None:
    user = User.with_email(ADA)
    user_id, account_id = user.id, user.home_id
    chat = Chat(account_id=account_id, user_id=user_id, title="Secrets", model="demo")
    session.add(chat)
    session.flush()
    session.add(Message(account_id=account_id, chat_id=chat.id, role="user", content="my secret"))
    session.commit()
    assert ada.send("/settings/delete", current_password=PASSWORD).location == "/"
    session.expire_all()
    gone = session.get(User, user_id)
    assert (ada.is_signed_in, User.with_email(ADA)) == (False, None)
    assert (gone.name, gone.email) == ("", f"deleted-{user_id}@deleted.invalid")
    assert session.get(Account, account_id).closed_at
    assert (session.query(Message).one().content, session.query(Chat).one().title) == ("", "")


def test_nobody_is_deleted_without_the_password(ada: Browser) -> None:
    assert ada.send("/settings/delete", current_password="a wrong password").status_code == 400
    assert ada.is_signed_in


def test_a_team_that_would_lose_its_only_owner_comes_first(
    ada: Browser, signed_in: Callable, session: Database
) -> None:
    signed_in("bob")
    ada.send("/account/teams", name="Gate keepers")
    team = session.query(Account).filter_by(kind="team").one()
    session.add(Membership(account=team, user=User.with_email("bob@example.com"), role="member"))
    session.commit()
    refused = ada.send("/settings/delete", current_password=PASSWORD)
    assert (refused.status_code, "Gate keepers needs an owner" in refused.text) == (409, True)
    session.expire_all()
    assert (ada.is_signed_in, team.closed_at) == (True, None)
    assert ada.send("/account/close", current_password=PASSWORD).status_code == 302
    assert ada.send("/settings/delete", current_password=PASSWORD).status_code == 302
    session.expire_all()
    assert (team.owner.name, len(team.memberships), User.with_email(ADA)) == ("", 2, None)


def test_who_is_deleted_leaves_the_teams_of_others_and_closes_their_own(
    ada: Browser, signed_in: Callable, session: Database
) -> None:
    signed_in("bob").send("/account/teams", name="Gate keepers")
    ada.send("/account/teams", name="Ada alone")
    team, alone = (session.query(Account).filter_by(name=name).one() for name in ("Gate keepers", "Ada alone"))
    session.add(Membership(account=team, user=User.with_email(ADA), role="admin"))
    session.commit()
    ada.send("/settings/delete", current_password=PASSWORD)
    session.expire_all()
    roles = [membership.role for membership in team.memberships]
    assert (roles, team.closed_at, alone.closed_at is None) == (["owner"], None, False)
