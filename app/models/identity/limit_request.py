"""A member asks for more than their monthly limit; an owner or admin of the team decides."""

from calendar import monthrange
from datetime import date, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, one_of, partial_index, refers_to, utcnow
from app.models.identity.membership import Membership
from app.models.metering.refusal import Conflict, InvalidRequest

LIFETIME = timedelta(days=7)
LONGEST_REASON = 500
MOST_NANOS = 10**15
IS_OPEN = text("state = 'open'")


class LimitRequest(Model):
    """One request. While it is open there is no other of this member; whoever changes it holds the account."""

    __tablename__ = "limit_requests"
    __table_args__ = (
        one_of("state", "open", "approved", "declined", "expired"),
        partial_index("uq_limit_requests_one_open", "account_id", "user_id", unique=True, where=IS_OPEN),
    )  # fmt: skip

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int] = refers_to("users.id", index=True)
    amount_nanos: Mapped[Nanos]
    reason: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="open")
    decided_by_id: Mapped[int | None] = refers_to("users.id")
    decided_at: Mapped[datetime | None]
    granted_nanos: Mapped[Nanos | None]
    granted_until: Mapped[date | None]

    user = relationship("User", foreign_keys=[user_id])
    account = relationship("Account")

    @classmethod
    def open_for(cls, member: Membership, amount_nanos: int, reason: str) -> "LimitRequest":
        """Ask the managers of the held team. Conflict where one is open or there is no limit."""
        if member.monthly_limit_nanos is None:
            raise Conflict("no_limit")
        if not 0 < amount_nanos <= MOST_NANOS:
            raise InvalidRequest({"amount_credits": ["must be more than 0."]})
        if len(reason) > LONGEST_REASON:
            raise InvalidRequest({"reason": [f"must have at most {LONGEST_REASON} characters."]})
        if cls.open_of(member.account_id, member.user_id):
            raise Conflict("already_asked")
        request = cls(account_id=member.account_id, user_id=member.user_id, amount_nanos=amount_nanos)
        request.reason = reason.replace("\x00", "").strip()
        db.session.add(request)
        db.session.flush()
        return request

    @classmethod
    def open_of(cls, account_id: int, user_id: int | None = None) -> "list[LimitRequest]":
        """The open requests of a team, or of one member; others expire here: of who left, or a week old."""
        query = select(cls, Membership.id).where(cls.account_id == account_id, cls.state == "open").order_by(cls.id)
        place = (Membership.account_id == cls.account_id) & (Membership.user_id == cls.user_id)
        if user_id is not None:
            query = query.where(cls.user_id == user_id)
        rows = db.session.execute(query.outerjoin(Membership, place)).all()
        for request, member_id in rows:
            if member_id is None or request.created_at + LIFETIME < utcnow():
                request.state = "expired"
        db.session.flush()
        return [request for request, _member_id in rows if request.state == "open"]

    def approve(self, by: Membership, amount_nanos: int, until: date) -> None:
        """Give the member that much more until the end of that day. Conflict where it was decided before."""
        self.check_open()
        if not 0 < amount_nanos <= MOST_NANOS:
            raise InvalidRequest({"amount_credits": ["must be more than 0."]})
        if until < utcnow().date():
            raise InvalidRequest({"until": ["is over."]})
        member = Membership.of(self.user_id, self.account_id)
        if member is None:
            raise Conflict("already_decided", case="left")
        member.grant(amount_nanos, until)
        self.granted_nanos, self.granted_until = amount_nanos, until
        self.decide("approved", by)

    def decline(self, by: Membership) -> None:
        self.check_open()
        self.decide("declined", by)

    def check_open(self) -> None:
        if self.state != "open":
            raise Conflict("already_decided")

    def decide(self, state: str, by: Membership) -> None:
        self.state, self.decided_by_id, self.decided_at = state, by.user_id, utcnow()


def end_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])
