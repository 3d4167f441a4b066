"""The ledger: one row for each change of a balance that is not a model call. Rows are added, never changed."""

from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, insert_once, one_of, refers_to
from app.models.identity.account import Account

KINDS = {
    "refill": "Monthly allowance",
    "debt_repaid": "Debt repaid from allowance",
    "plan_change": "Allowance added by a plan change",
    "trial": "Trial allowance",
    "allowance_ended": "Allowance ended with the subscription",
    "welcome": "Welcome credit",
    "purchase": "Credits bought",
    "recharge": "Auto-recharge",
    "refund": "Refund",
    "refund_failed": "Refund reversed",
    "dispute": "Dispute",
    "dispute_won": "Dispute won",
    "correction": "A wrong price corrected",
    "bonus": "Bonus of a promotional code",
    "gift": "Gift of a promotional code",
    "grant": "Granted",
    "adjustment": "Adjusted by an admin",
}


class LedgerEntry(Model):
    """A difference of the two balances, with the key that makes it unrepeatable. `plan_id`: of what it was given by."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        one_of("kind", *KINDS),
        CheckConstraint("length(month) = 7", name="month_is_year_and_month"),
        Index("ix_ledger_entries_account_newest", "account_id", "id"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    kind: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    allowance_nanos: Mapped[Nanos] = mapped_column(default=0)
    credits_nanos: Mapped[Nanos] = mapped_column(default=0)
    month: Mapped[str | None]
    reason: Mapped[str] = mapped_column(default="")
    actor_id: Mapped[int | None] = refers_to("users.id")
    payment_id: Mapped[int | None] = mapped_column(BigId, index=True)
    subscription_id: Mapped[int | None] = mapped_column(BigId)
    plan_id: Mapped[int | None] = mapped_column(BigId)

    account = relationship("Account", back_populates="ledger")
    actor = relationship("User")

    @classmethod
    def post(
        cls, account: Account, kind: str, key: str, *, allowance: int = 0, credits: int = 0, **columns: Any
    ) -> "LedgerEntry | None":
        """Move a locked account's balances by a difference, once: None where the key was posted before.

        Two accounts may want one key at once (two spellings of a mailbox): the second waits, and gets None.
        """
        row = {"account_id": account.id, "kind": kind, "key": key, **columns}
        new = insert_once(cls).values(**row, allowance_nanos=allowance, credits_nanos=credits).returning(cls)
        entry: LedgerEntry | None = db.session.scalar(new)
        if entry is not None:
            account.allowance_nanos += allowance
            account.credits_nanos += credits
            db.session.flush()
        return entry

    @property
    def title(self) -> str:
        return KINDS[self.kind]
