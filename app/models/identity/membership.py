"""Members: who may act on an account, as what, and who may change that. security.md 19."""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import JSON, Index, UniqueConstraint, select, text, update
from sqlalchemy.orm import Mapped, aliased, joinedload, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, not_negative, one_of, partial_index, refers_to, utctoday
from app.models.identity.api_key import ApiKey
from app.models.identity.user import User, UserSession
from app.models.metering.refusal import Conflict

if TYPE_CHECKING:
    from app.models.identity.account import Account

ROLES = ("owner", "admin", "member")
MANAGERS = {"owner", "admin"}
CHOSEN = text("wants_digest")


def extras_on(extras: Iterable[tuple[int, str]], day: date) -> list[tuple[int, date]]:
    """Of what was granted, what holds on that day: nanos, and the last day of each."""
    dated = ((nanos, date.fromisoformat(until)) for nanos, until in extras)
    return [(nanos, until) for nanos, until in dated if day <= until]


class Membership(Model):
    """A person's place in an account. Whoever changes a row holds the account."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("account_id", "user_id"),
        one_of("role", *ROLES),
        *not_negative("monthly_limit_nanos"),
        Index("ix_memberships_user", "user_id"),
        partial_index("ix_memberships_digest", "account_id", where=CHOSEN),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int] = refers_to("users.id")
    role: Mapped[str] = mapped_column(default="member")
    monthly_limit_nanos: Mapped[Nanos | None]
    extras: Mapped[list[tuple[int, str]]] = mapped_column(JSON, default=list)
    """What managers have granted above the limit: nanos, and the last day of each."""

    own_limit_nanos: Mapped[Nanos | None]
    own_limit_period: Mapped[str] = mapped_column(default="month")
    wants_digest: Mapped[bool] = mapped_column(default=False)

    account: "Mapped[Account]" = relationship("Account", back_populates="memberships")
    user: Mapped[User] = relationship("User", back_populates="memberships")

    @classmethod
    def of(cls, user_id: int, account_id: int) -> "Membership | None":
        """That person's place in that account, as it is now."""
        place = select(cls).where(cls.user_id == user_id, cls.account_id == account_id)
        return db.session.scalar(place.execution_options(populate_existing=True))

    @classmethod
    def all_in(cls, account_id: int) -> "list[Membership]":
        """The account's members with their users, the oldest first: one statement, however many there are."""
        rows = select(cls).where(cls.account_id == account_id).order_by(cls.id)
        return list(db.session.scalars(rows.options(joinedload(cls.user))))

    @property
    def can_manage(self) -> bool:
        """May invite, buy and see billing."""
        return self.role in MANAGERS

    def grant(self, nanos: int, until: date) -> None:
        """So much above the limit until the end of that day, beside what was granted before."""
        self.extras = [(extra, day.isoformat()) for extra, day in [*self.extras_now, (nanos, until)]]

    @property
    def extras_now(self) -> list[tuple[int, date]]:
        return extras_on(self.extras, utctoday())

    @property
    def extra_now(self) -> int:
        return sum(nanos for nanos, _until in self.extras_now)

    @property
    def limit_now(self) -> int | None:
        """The monthly limit with what was granted above it; None without a limit."""
        return None if self.monthly_limit_nanos is None else self.monthly_limit_nanos + self.extra_now

    def limit_to(self, nanos: int | None) -> bool:
        """Set the monthly limit, in nanos; None for none. Whether another one ended what was granted above the last."""
        is_ended = nanos != self.monthly_limit_nanos and self.extra_now > 0
        self.monthly_limit_nanos = nanos
        if is_ended:
            self.extras = []
        return is_ended

    @property
    def grantable_roles(self) -> tuple[str, ...]:
        """The roles that this member may give: an owner all, an admin all but owner."""
        return {"owner": ROLES, "admin": ("admin", "member")}.get(self.role, ())

    def may_change(self, other: "Membership") -> bool:
        """Whether this member may set the other's role and limit, or remove them."""
        return other.account_id == self.account_id and other.role in self.grantable_roles

    @property
    def is_last_owner(self) -> bool:
        """Whether there is no other owner who could act: a disabled person can't."""
        if self.role != "owner":
            return False
        others = Membership.account_id == self.account_id, Membership.role == "owner", Membership.id != self.id
        able = select(Membership.id).join(User).where(*others, User.disabled_at.is_(None)).limit(1)
        return db.session.scalar(able) is None

    def change_role(self, role: str) -> None:
        """Conflict where the account would be left without an owner."""
        if role != "owner" and self.is_last_owner:
            raise Conflict("last_owner", context={"team": self.account.title})
        self.role = role

    def hand_over(self, to: "Membership") -> None:
        """Make the other member an owner, and this one an admin. Conflict where the other is disabled."""
        to.role = "owner"
        self.change_role("admin")

    def end(self) -> None:
        """Take the person out: their browsers fall back to their own account, their keys here stop.

        Conflict for the last owner. What they used stays in the receipts.
        """
        if self.is_last_owner:
            raise Conflict("last_owner", context={"team": self.account.title})
        ApiKey.revoke_all(self.account_id, self.user_id)
        send_home(self.account_id, self.user_id)
        db.session.delete(self)
        db.session.flush()


def send_home(account_id: int, user_id: int | None = None) -> None:
    """Have the browsers that are in the account, or one person's of them, act on their person's own account again."""
    places = aliased(Membership)
    own = select(places.account_id).where(places.user_id == UserSession.user_id).order_by(places.id).limit(1)
    here = [UserSession.account_id == account_id]
    if user_id is not None:
        here.append(UserSession.user_id == user_id)
    moved = update(UserSession).where(*here).values(account_id=own.scalar_subquery())
    db.session.execute(moved, execution_options={"synchronize_session": False})
