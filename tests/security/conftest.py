"""ada with one of everything, eve with the same rights in a team of her own."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.auto_recharge import Recharge
from app.models.billing.payment import Payment
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.plan import CreditPack
from app.models.catalog.price import ModelPrice
from app.models.chat.attachment import TEXT, Attachment
from app.models.chat.chat import Chat, Message
from app.models.documents.document import Document
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.invitation import Invitation
from app.models.identity.limit_request import LimitRequest
from app.models.identity.membership import Membership
from app.models.identity.passkey import Passkey
from app.models.identity.user import User, UserSession
from app.models.metering.held_call import hold_amount
from app.models.metering.usage import Usage
from app.models.operations.outgoing_webhook import WebhookDelivery, WebhookEndpoint
from tests.auth.conftest import Browser, new_browser, quick_passwords, signed_in
from tests.support import Database, people
from tests.support.people import CREDIT

__all__ = ["new_browser", "quick_passwords", "signed_in"]


def id_rules(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Method, address and name of the variable, for each rule with an id outside the admin."""
    for rule in app.url_map.iter_rules():
        if rule.arguments and not rule.rule.startswith(("/admin", "/static")):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                for name in rule.arguments:
                    yield method, rule.rule, name


class Teams:
    """`team_of("ada")`: a team that this person owns and acts on in their browser, `team_of.browsers["ada"]`."""

    def __init__(self, signed_in: Callable[..., Browser]) -> None:
        self.signed_in = signed_in
        self.browsers: dict[str, Browser] = {}

    def __call__(self, name: str) -> Account:
        browser = self.browsers[name] = self.signed_in(name)
        browser.send("/account/teams", name=f"{name}'s team")
        team = db.session.query(Account).filter_by(name=f"{name}'s team").one()
        people.give(team, credits=100 * CREDIT)
        db.session.commit()
        return team


@pytest.fixture
def team_of(signed_in: Callable[..., Browser]) -> Teams:
    return Teams(signed_in)


@pytest.fixture
def adas(team_of: Teams, session: Database) -> dict[str, int]:
    """The id of one of each of ada's things, by the name that routes give it."""
    team = team_of("ada")
    ada, bob = User.with_email("ada@example.com"), people.person("bob").memberships[0].user
    place = Membership(account_id=team.id, user_id=bob.id, role="member")
    invitation = Invitation.send(team, ada, "carl@example.com", "member")
    key, _secret = ApiKey.make(team.id, ada.id, "robot")
    chat, question, answer, usage = talk(team, ada)
    recharge = charged(team, ada)
    document = Document(account_id=team.id, user_id=ada.id, title="Secret plan")
    session.add(document)
    session.flush()
    revision = document.add("my secret", state="kept", call_id=usage.id)
    file = Attachment(account_id=team.id, user_id=ada.id, message_id=question.id, name="secret.txt")
    file.media_type, file.size, file.content = TEXT, 6, b"secret"
    asked = LimitRequest(account_id=team.id, user_id=ada.id, amount_nanos=1)
    passkey = Passkey(user_id=ada.id, name="phone", credential_id=b"1", public_key=b"2", sign_count=0)
    session.add_all([place, invitation, key, recharge, file, asked, passkey, shared := for_all(chat)])
    session.commit()
    browser_id = session.query(UserSession.id).filter_by(user_id=ada.id).scalar()
    return {
        "chat_id": chat.id, "message_id": question.id, "answer_id": answer.id, "call_id": usage.id,
        "key_id": key.id, "member_id": place.id, "invitation_id": invitation.id, "session_id": browser_id,
        "recharge_id": recharge.id, "attachment_id": file.id, "request_id": asked.id,
        "document_id": document.id, "revision_id": revision.id, "passkey_id": passkey.id,
        "image_call_id": drawn(usage), "held_call_id": hold_amount(people.actor(team), "batch", CREDIT).usage_id,
        "shared_token": shared.share_token,
    } | told(team)  # fmt: skip


@pytest.fixture
def eve(team_of: Teams, adas: dict[str, int]) -> Browser:
    """eve, with every right in her own team."""
    team_of("eve")
    return team_of.browsers["eve"]


def for_all(chat: Chat) -> Chat:
    """Another one of the same person, to be read by its link."""
    shared = Chat(account_id=chat.account_id, user_id=chat.user_id, title="For all to read", model=chat.model)
    shared.share()
    return shared


def drawn(call: Usage) -> int:
    """The id of a call like it that made an image."""
    names = ("account_id", "user_id", "model", "price_id", "state", "outcome", "day", "reserved_nanos")
    image = Usage(**{name: getattr(call, name) for name in names}, operation="image", images=1, max_output_tokens=0)
    price = ImagePrice(model=db.session.get_one(ModelPrice, call.price_id).model, quality="low", size="auto")
    price.price_nanos, price.effective_from, price.approved_at = CREDIT, utcnow(), utcnow()
    db.session.add(price)
    db.session.flush()
    image.image_price_id = price.id
    db.session.add(image)
    db.session.flush()
    return image.id


def told(team: Account) -> dict[str, int]:
    endpoint, _secret = WebhookEndpoint.make(team.id, "https://example.com/")
    WebhookDelivery.post(team.id, "recharge:1:done", "recharge.done")
    db.session.commit()
    return {"endpoint_id": endpoint.id, "delivery_id": db.session.query(WebhookDelivery).one().id}


def talk(team: Account, person: User) -> tuple[Chat, Message, Message, Usage]:
    offered = people.model(kind="demo")
    chat = Chat(account_id=team.id, user_id=person.id, title="Secrets", model=offered.name)
    db.session.add(chat)
    db.session.flush()
    usage = Usage(account_id=team.id, user_id=person.id, chat_id=chat.id, model=offered.name)
    usage.price_id, usage.state, usage.outcome = (
        db.session.query(ModelPrice).filter_by(model=offered).one().id,
        "settled",
        "done",
    )
    usage.day, usage.reserved_nanos, usage.max_output_tokens = utcnow().date(), 0, 256
    db.session.add(usage)
    db.session.flush()
    question = Message(account_id=team.id, chat_id=chat.id, role="user", content="my secret")
    db.session.add(question)
    db.session.flush()
    answer = Message(account_id=team.id, chat_id=chat.id, role="assistant", parent_id=question.id)
    answer.call_id = usage.id
    db.session.add(answer)
    db.session.flush()
    return chat, question, answer, usage


def charged(team: Account, person: User) -> Recharge:
    pack = db.session.query(CreditPack).first()
    payment = Payment(account_id=team.id, user_id=person.id, kind="recharge", price_cents=1000, currency="usd")
    payment.pack_id, payment.state = pack.id, "paid"
    db.session.add(payment)
    db.session.flush()
    return Recharge(account_id=team.id, payment_id=payment.id, state="paid", card_id="pm_1", stripe_customer_id="cus_1")
