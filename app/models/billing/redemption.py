"""Redemptions of promotional codes: held for a checkout, then used or given back. billing-rules.md 10."""

from datetime import datetime

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import DAY, Model, insert_once, not_negative, one_of, refers_to
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account, anniversary
from app.models.identity.email_address import address_mark
from app.models.identity.user import User


class Redemption(Model):
    """One use of a code by an account.

    state: held (a checkout with it is open) -> used | released. `account_key` and `address_key` are there once for a
    code: an account's where the code is once an account, an address's where it is a gift. `bonus_nanos` was promised
    for the first paid period of a plan.
    """

    __tablename__ = "redemptions"
    __table_args__ = (
        one_of("state", "held", "used", "released"),
        *not_negative("bonus_nanos"),
        UniqueConstraint("code_id", "account_key"),
        UniqueConstraint("code_id", "address_key"),
    )

    code_id: Mapped[int] = refers_to("promotion_codes.id")
    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    user_id: Mapped[int | None] = refers_to("users.id")
    state: Mapped[str] = mapped_column(default="held")
    bonus_nanos: Mapped[Nanos] = mapped_column(default=0)
    account_key: Mapped[str | None]
    address_key: Mapped[str | None]

    code = relationship("PromotionCode", lazy="joined", innerjoin=True)

    @classmethod
    def hold(cls, code: PromotionCode, account: Account, user_id: int | None, **keys: str) -> "Redemption | None":
        """One of the code for a locked account; None where it had it before, or where none is left."""
        if code.once_per_account:
            keys["account_key"] = str(account.id)
        columns = {"code_id": code.id, "account_id": account.id, "user_id": user_id, "state": "held", **keys}
        redemption = db.session.scalar(insert_once(cls).values(**columns).returning(cls))
        if redemption is None:
            return None
        if not code.take_one():
            db.session.delete(redemption)
            db.session.flush()
            return None
        return redemption

    @classmethod
    def held_by(cls, code: PromotionCode, account_id: int) -> "Redemption | None":
        held = cls.code_id == code.id, cls.account_id == account_id, cls.state == "held"
        return db.session.scalar(select(cls).where(*held))

    @classmethod
    def has_first_purchase(cls, account_id: int, besides: PromotionCode) -> bool:
        """Whether another code for a first purchase is held or was used by the account."""
        other = PromotionCode.first_purchase_only, PromotionCode.id != besides.id
        mine = cls.account_id == account_id, cls.state.in_(("held", "used"))
        query = select(cls.id).join(PromotionCode, PromotionCode.id == cls.code_id).where(*other, *mine)
        return db.session.scalar(query.limit(1)) is not None

    @classmethod
    def all_held(cls, before: datetime) -> list[int]:
        """Those held since before that moment: their checkouts are over, whatever we heard of it."""
        held = cls.state == "held", cls.created_at < before
        return list(db.session.scalars(select(cls.id).where(*held).order_by(cls.id)))

    def reduces(self, at: datetime, *, is_first: bool) -> bool:
        """Whether, by its terms, it takes something off a plan's invoice of that moment.

        Stripe counts months from the end of the checkout, which is within a day of its beginning.
        """
        code = self.code
        if code.kind != "discount" or code.duration == "once":
            return code.kind == "discount" and is_first
        return code.months is None or at + DAY < anniversary(self.created_at, code.months)

    def use(self) -> None:
        """Paid; also after it was given back, as money that came counts."""
        if self.state == "released":
            self.code.count(+1)
        self.state = "used"

    def release(self) -> None:
        """Nothing came of the checkout: somebody else may have it."""
        if self.state == "held":
            self.state, self.account_key, self.address_key = "released", None, None
            self.code.count(-1)


def give_gift(code: PromotionCode, account: Account, user: User) -> LedgerEntry | None:
    """The credits of a gift on a locked account: once for a code and a mailbox, in whatever spelling, for ever."""
    mark = address_mark(user.email)
    redemption = Redemption.hold(code, account, user.id, address_key=mark)
    if redemption is None:
        return None
    redemption.use()
    key, reason = f"gift:{code.id}:{redemption.id}", f"Code {code.code}"
    return LedgerEntry.post(account, "gift", key, credits=code.gift_nanos or 0, reason=reason)
