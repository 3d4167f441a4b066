"""The doors of tests/chat, and one for members of an account."""

from collections.abc import Callable
from typing import Any

import pytest

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from tests.chat.conftest import Door, ada, door, environment, provider
from tests.support import people

__all__ = ["ada", "door", "environment", "provider"]


@pytest.fixture
def member_door(client: Any) -> Callable[..., Door]:
    """`member_door(account_id, "bob")`: a key of a new member of an account; it acts on that account."""

    def of(account_id: int, name: str, role: str = "member") -> Door:
        person = people.person(name)
        account = db.session.get_one(Account, account_id)
        user = db.session.get_one(User, person.memberships[0].user_id)
        db.session.add(Membership(account=account, user=user, role=role))
        _key, secret = people.ApiKey.make(account_id, user.id, "tests")
        db.session.commit()
        return Door(client, secret)

    return of
