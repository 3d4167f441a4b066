"""The actor of a request: a person or a key acting on one account, read in one statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, select

from app.db.compiled_statement import CompiledStatement, Row
from app.extensions import db
from app.models.base import at_once, utcnow
from app.models.catalog.setting import STORED_TOGETHER, Setting
from app.models.identity.account import Account
from app.models.identity.api_key import OWNERS_SCOPES, ApiKey, KeyLimits
from app.models.identity.membership import Membership
from app.models.identity.user import User, UserSession, digest
from app.models.metering.account_state import ACCOUNTS, COLUMNS, PLANS, AccountState


@dataclass(frozen=True, slots=True)
class Actor:
    """A person signed in, a key, or a guest. `role` is owner, admin or member of the account.

    `guest` is the digest that a guest's chats carry.
    """

    user_id: int
    account_id: int
    role: str
    email: str
    name: str
    is_verified: bool
    admin_role: str | None = None
    own_limit_nanos: int | None = None
    own_limit_period: str = "month"
    api_key_id: int | None = None
    key_used_at: datetime | None = None
    key_limits: KeyLimits | None = None
    is_key_paused: bool = False
    scopes: frozenset[str] | None = None
    """What a key may; None for people, who may all that their role does."""

    session_secret: str | None = None
    guest: str | None = None
    account_state: AccountState | None = None
    """How the account stood as the request began; read along, because the gate looks at it first."""

    is_active = True

    @property
    def is_authenticated(self) -> bool:
        """A guest is nobody in particular: the doors that take guests say so, all others are closed to them."""
        return self.guest is None

    @property
    def is_anonymous(self) -> bool:
        return not self.is_authenticated

    @classmethod
    def of_session(cls, secret: str) -> "Actor | None":
        """Whom a browser's session belongs to; None where it ended or is too old, or its user was disabled.

        It acts on the account that was switched to; on the personal one where that membership is gone.
        """
        with at_once() as connection:
            asked = {"secret": digest(secret), "begun_after": utcnow() - UserSession.LONGEST}
            row = OF_SESSION.first(connection, asked)
        return cls(**described(row) | {"session_secret": secret}) if row else None

    @classmethod
    def of_key(cls, secret: str) -> "Actor | None":
        """Whom an API key acts for; None where it is unknown, revoked or over, or its maker left the account."""
        with at_once() as connection:
            row = OF_KEY.first(connection, {"secret": digest(secret)})
        if row is None:
            return None
        api_key_id, used_at, scopes, expires_at, paused_at, *limits = row[len(FOR_ALL) :]
        if expires_at is not None and expires_at <= utcnow():
            return None
        key = {"api_key_id": api_key_id, "key_used_at": used_at, "admin_role": None}
        key |= {"key_limits": KeyLimits.of(*limits), "is_key_paused": paused_at is not None}
        person = described(row)
        may = set(scopes.split()) - (OWNERS_SCOPES if person["role"] != "owner" else set())
        return cls(**person | key | {"scopes": frozenset(may)})

    @classmethod
    def of_member(cls, member: Membership, key: ApiKey | None = None) -> "Actor":
        """A member as they would ask now, by a key of theirs where one is named: for what is done after the request."""
        person = member.user
        who = member.user_id, member.account_id, member.role, person.email, person.name, person.is_verified
        own: Any = {"own_limit_nanos": member.own_limit_nanos, "own_limit_period": member.own_limit_period}
        if key is None:
            return cls(*who, **own)
        is_paused = key.spending_paused_at is not None
        return cls(*who, **own, api_key_id=key.id, key_limits=key.limits, is_key_paused=is_paused)

    def get_id(self) -> str | None:
        """What Flask-Login keeps in the cookie."""
        return self.session_secret

    @property
    def is_admin(self) -> bool:
        return self.admin_role is not None

    @property
    def can_manage(self) -> bool:
        """May invite, buy and see billing of the account."""
        return self.role in {"owner", "admin"}

    @property
    def own(self) -> dict[str, int]:
        """What a row must be to be the actor's: in their account, and by them."""
        return {"account_id": self.account_id, "user_id": self.user_id}

    @property
    def owns(self) -> dict[str, Any]:
        """What a chat must be to be the actor's, and not deleted."""
        return {**self.own, "guest": self.guest, "deleted_at": None}

    @property
    def sees(self) -> dict[str, int]:
        """Whose calls the actor may look at: all of the account, and members only their own."""
        return {"account_id": self.account_id} if self.can_manage else self.own

    @property
    def user(self) -> User:
        return db.session.get_one(User, self.user_id)

    @property
    def account(self) -> Account:
        return db.session.get_one(Account, self.account_id)


def described(row: Row) -> dict[str, Any]:
    """The caller's fields; the settings that came along are kept for the request."""
    person = dict(zip(PERSON_FIELDS, row, strict=False))
    stored = row[len(PERSON_FIELDS)]
    account_state = AccountState(*row[len(PERSON_FIELDS) + 1 : len(FOR_ALL)])
    Setting.remember(stored or {})
    return person | {
        "is_verified": person.pop("email_verified_at") is not None,
        "account_state": account_state,
    }


SESSIONS, KEYS, MEMBERS, USERS = (t.__table__ for t in (UserSession, ApiKey, Membership, User))
PERSON = (
    MEMBERS.c.user_id,
    MEMBERS.c.account_id,
    MEMBERS.c.role,
    USERS.c.email,
    USERS.c.name,
    USERS.c.email_verified_at,
    USERS.c.admin_role,
    MEMBERS.c.own_limit_nanos,
    MEMBERS.c.own_limit_period,
)
PERSON_FIELDS = tuple(column.name for column in PERSON)
FOR_ALL = (*PERSON, STORED_TOGETHER, *COLUMNS)
ENABLED = USERS.c.disabled_at.is_(None)
ACCOUNT_AND_PLAN = MEMBERS.join(ACCOUNTS, ACCOUNTS.c.id == MEMBERS.c.account_id).join(PLANS)
SWITCHED_TO = MEMBERS.c.account_id == SESSIONS.c.account_id
OF_SESSION = CompiledStatement(
    select(*FOR_ALL)
    .select_from(
        SESSIONS.join(USERS, USERS.c.id == SESSIONS.c.user_id).join(ACCOUNT_AND_PLAN, MEMBERS.c.user_id == USERS.c.id)
    )
    .where(
        SESSIONS.c.secret_hash == bindparam("secret"),
        SESSIONS.c.created_at > bindparam("begun_after"),
        ENABLED,
    )
    .order_by(SWITCHED_TO.desc(), MEMBERS.c.id)
    .limit(1)
)
"""The personal account's membership is a person's first, and is never ended."""

KEY_LIMITS = (KEYS.c.monthly_limit_nanos, KEYS.c.total_limit_nanos, KEYS.c.models)
OWN_OF_KEY = (KEYS.c.id, KEYS.c.last_used_at, KEYS.c.scopes, KEYS.c.expires_at, KEYS.c.spending_paused_at)
MADE_IN = and_(MEMBERS.c.user_id == KEYS.c.user_id, MEMBERS.c.account_id == KEYS.c.account_id)
OF_KEY = CompiledStatement(
    select(*FOR_ALL, *OWN_OF_KEY, *KEY_LIMITS)
    .select_from(KEYS.join(USERS, USERS.c.id == KEYS.c.user_id).join(ACCOUNT_AND_PLAN, MADE_IN))
    .where(KEYS.c.secret_hash == bindparam("secret"), KEYS.c.revoked_at.is_(None), ENABLED)
)
