"""Re-rating: calls that were sold at a wrong price, computed again at the right one. billing-rules.md 3.

What was charged too much comes back as credits, one ledger entry an account; what was too little stays ours. A price
row that was sold at stands: the right figures are kept here, and each call that they changed has a row of its own.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Row, Select, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, ModelBase, not_negative, one_of, refers_to, utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import FIGURES, ModelPrice
from app.models.catalog.rates import Rates, priced
from app.models.identity.account import Account
from app.models.metering.refusal import PricingError
from app.models.metering.usage import BUCKETS, USAGES, Usage
from app.providers.base import TOKEN_BUCKETS, TokenUsage

NEEDED = [f"{bucket}_nanos" for bucket in TOKEN_BUCKETS]
SLICE = 20_000
FIXED = "Images have a fixed price. If that was wrong, adjust the credits of the accounts that paid it."


class Rerating(Model):
    """A price that was wrong for the calls that began from `since` until `until`; `figures` are the right ones.

    state: new -> previewed -> applying -> done. `preview` is what was found before anything was applied.
    """

    __tablename__ = "reratings"
    __table_args__ = (
        one_of("state", "new", "previewed", "applying", "done"),
        CheckConstraint("since < until", name="since_before_until"),
    )

    price_id: Mapped[int] = refers_to("model_prices.id")
    since: Mapped[datetime]
    until: Mapped[datetime]
    figures: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(default="")
    by_id: Mapped[int | None] = refers_to("users.id")
    state: Mapped[str] = mapped_column(default="new")
    preview: Mapped[dict[str, Any]] = mapped_column(default=dict)
    finished_at: Mapped[datetime | None]

    price = relationship("ModelPrice")

    @classmethod
    def begin(
        cls,
        price: ModelPrice,
        figures: dict[str, int | None],
        since: datetime,
        until: datetime,
        **columns: Any,
    ) -> "Rerating":
        """A new one, of which nothing is applied yet. PricingError where it can't be."""
        if db.session.get_one(AIModel, price.model_id).makes_images:
            raise PricingError(FIXED)
        if since >= until:
            raise PricingError("The end must be after the start.")
        if until > utcnow():
            raise PricingError("The end can't be in the future.")
        old = {name: getattr(price, name) for name in FIGURES}
        right = old | figures
        if any(value is not None and value < 0 for value in right.values()):
            raise PricingError("A price can't be negative.")
        if any(right[name] is None for name in NEEDED):
            raise PricingError("Enter a price for input, cache and output.")
        if right == old:
            raise PricingError("These are the same prices, so nothing would change.")
        rerating = cls(price_id=price.id, figures=right, since=since, until=until, **columns)
        db.session.add(rerating)
        db.session.flush()
        return rerating

    @staticmethod
    def prices_sold(model_id: int, since: datetime, until: datetime) -> list[ModelPrice]:
        """The price rows of a model that calls of that time were sold at."""
        within = Usage.created_at >= since, Usage.created_at < until
        sold = select(Usage.price_id).where(*within, *CHARGED_BY_TOKENS)
        rows = select(ModelPrice).where(ModelPrice.model_id == model_id, ModelPrice.id.in_(sold))
        return list(db.session.scalars(rows.order_by(ModelPrice.id)))

    @classmethod
    def unfinished(cls) -> list[int]:
        """Those that a job has to go on with."""
        waiting = select(cls.id).where(cls.state.in_(("new", "applying")))
        return list(db.session.scalars(waiting.order_by(cls.id)))

    @property
    def rates(self) -> Rates:
        return ModelPrice(**self.figures).rates

    @property
    def key(self) -> str:
        return f"rerating:{self.id}"

    def of_calls(self, *states: str) -> list[Any]:
        """What tells its calls from others. Guests pay nothing, so that nothing comes back to them.

        Images have a fixed price: what their vendor's tokens cost changes nothing for those who paid.
        """
        began = Usage.created_at >= self.since, Usage.created_at < self.until
        return [
            Usage.price_id == self.price_id,
            *began,
            Usage.state.in_(states),
            *CHARGED_BY_TOKENS,
            ~IS_HOUSE,
        ]

    def accounts_left(self) -> list[int]:
        """Open accounts that have calls which are not corrected yet."""
        left = select(Usage.account_id).distinct().where(*self.of_calls("settled"), ~is_corrected(self))
        return list(db.session.scalars(left.where(~IS_CLOSED).order_by(Usage.account_id)))

    def accounts_running(self, account_id: int | None = None) -> list[int]:
        """Accounts (or that one) of which a call at that price still runs: they are corrected when it has ended."""
        running = select(Usage.account_id).distinct().where(*self.of_calls("running"), ~IS_CLOSED)
        running = running if account_id is None else running.where(Usage.account_id == account_id)
        return list(db.session.scalars(running.order_by(Usage.account_id)))

    def closed_accounts(self) -> list[int]:
        """Accounts that were closed before they were corrected: they are for a person to settle."""
        closed = select(Usage.account_id).distinct().where(*self.of_calls("settled"), ~is_corrected(self))
        return list(db.session.scalars(closed.where(IS_CLOSED).order_by(Usage.account_id)))


class CallCorrection(ModelBase):
    """A call at the right price: what its payer had paid for it by then, what it costs now, and what came back.

    `absorbed_nanos` is what it should have cost more: ours.
    """

    __tablename__ = "call_corrections"
    __table_args__ = (
        Index("ix_call_corrections_call", "call_id"),
        *not_negative("paid_nanos", "cost_nanos", "returned_nanos", "absorbed_nanos"),
        CheckConstraint("returned_nanos <= paid_nanos", name="returned_was_paid"),
    )

    rerating_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    call_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigId)
    paid_nanos: Mapped[Nanos]
    cost_nanos: Mapped[Nanos]
    returned_nanos: Mapped[Nanos]
    absorbed_nanos: Mapped[Nanos]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    @classmethod
    def of_call(cls, call_id: int) -> "Sequence[Row[CallCorrection, Rerating]]":
        """The corrections of a call, the oldest first."""
        rows = select(cls, Rerating).join(Rerating, Rerating.id == cls.rerating_id)
        return db.session.execute(rows.where(cls.call_id == call_id).order_by(cls.rerating_id)).all()


CHARGED_BY_TOKENS = (Usage.image_price_id.is_(None),)
IS_HOUSE = select(Account.id).where(Account.id == Usage.account_id, Account.kind == "house").exists()
IS_CLOSED = select(Account.id).where(Account.id == Usage.account_id, Account.closed_at.is_not(None)).exists()
OF_CALL = CallCorrection.call_id == USAGES.c.id
RETURNED = select(func.coalesce(func.sum(CallCorrection.returned_nanos), 0)).where(OF_CALL).scalar_subquery()
LAST_COST = (
    select(CallCorrection.cost_nanos)
    .where(OF_CALL)
    .order_by(CallCorrection.rerating_id.desc())
    .limit(1)
    .scalar_subquery()
)
"""What re-ratings before gave back of a call, and what it cost by the last of them."""


def is_corrected(rerating: Rerating) -> Any:
    mine = CallCorrection.rerating_id == rerating.id, CallCorrection.call_id == Usage.id
    return select(CallCorrection.call_id).where(*mine).exists()


def calls_of(rerating: Rerating, account_id: int | None = None) -> Select[Any]:
    """Its calls that are not corrected yet, with what earlier re-ratings did to them."""
    paid = USAGES.c.allowance_paid_nanos + USAGES.c.credits_paid_nanos
    columns = (
        *(USAGES.c[bucket] for bucket in BUCKETS),
        USAGES.c.id,
        USAGES.c.account_id,
        USAGES.c.cost_nanos,
        (paid - RETURNED).label("paid"),
        func.coalesce(LAST_COST, USAGES.c.cost_nanos).label("counted"),
    )
    rows = select(*columns).where(*rerating.of_calls("settled"), ~is_corrected(rerating))
    if account_id is not None:
        rows = rows.where(USAGES.c.account_id == account_id)
    return rows.order_by(USAGES.c.account_id, USAGES.c.id)


def corrected(rerating: Rerating, account_id: int | None = None) -> Iterator[CallCorrection]:
    """Each call as it will be corrected, account by account. Nothing is written."""
    rates = rerating.rates
    rows = db.session.execute(calls_of(rerating, account_id), execution_options={"yield_per": SLICE})
    for call in rows:
        _used, cost = priced(rates, TokenUsage(*call[: len(BUCKETS)]))
        yield CallCorrection(
            rerating_id=rerating.id,
            call_id=call.id,
            account_id=call.account_id,
            paid_nanos=int(call.paid),
            cost_nanos=cost,
            returned_nanos=max(0, int(call.paid) - cost),
            absorbed_nanos=max(0, cost - int(call.counted)),
        )


def correct_account(rerating: Rerating, account: Account) -> int:
    """Correct the calls of a locked account and give back what they cost too much; how much that is."""
    corrections = list(corrected(rerating, account.id))
    returned = sum(correction.returned_nanos for correction in corrections)
    db.session.add_all(corrections)
    if returned:
        key = f"{rerating.key}:{account.id}"
        LedgerEntry.post(account, "correction", key, credits=returned, reason=rerating.reason)
    db.session.flush()
    return returned


def totals(rerating: Rerating) -> dict[str, int]:
    """What has been corrected so far."""
    mine = CallCorrection.rerating_id == rerating.id
    sums = func.sum(CallCorrection.returned_nanos), func.sum(CallCorrection.absorbed_nanos)
    accounts = func.count(CallCorrection.account_id.distinct())
    calls, people, over, under = db.session.execute(select(func.count(), accounts, *sums).where(mine)).one()
    return {"calls": calls, "accounts": people, "over_nanos": int(over or 0), "under_nanos": int(under or 0)}


def unexplained() -> Iterator[tuple[int, str, int, int]]:
    """Accounts whose entry of a re-rating is not what its calls say: account, figure, entered, explained."""
    rows = select(LedgerEntry.key, LedgerEntry.credits_nanos).where(LedgerEntry.kind == "correction")
    entered = {row.key: row.credits_nanos for row in db.session.execute(rows)}
    by_account = CallCorrection.rerating_id, CallCorrection.account_id
    returned = func.sum(CallCorrection.returned_nanos).label("returned")
    for row in db.session.execute(select(*by_account, returned).group_by(*by_account)):
        entry = entered.get(f"rerating:{row.rerating_id}:{row.account_id}", 0)
        if entry != int(row.returned):
            yield row.account_id, f"re-rating {row.rerating_id}", entry, int(row.returned)
