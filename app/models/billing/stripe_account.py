"""Whose Stripe's ids are: the account and mode of the key in use, and what was left with those of before."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Table,
    UniqueConstraint,
    and_,
    delete,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import BigId
from app.extensions import db
from app.models.base import Model, ModelBase, insert_once, partial_index, refers_to, utcnow
from app.models.billing.auto_recharge import AutoRecharge, Recharge
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account
from app.models.operations.webhook_event import StripeEvent

IN_USE = text("is_in_use")


class Identity(NamedTuple):
    """The account and mode of a key. `is_certain`: Stripe said so; else `stripe_id` only stands for the key."""

    stripe_id: str
    is_live: bool
    is_certain: bool = True


class StripeAccount(Model):
    """An account of Stripe's in one mode. The ids in our rows are those of the one that is in use."""

    __tablename__ = "stripe_accounts"
    __table_args__ = (
        UniqueConstraint("stripe_id", "is_live"),
        partial_index("uq_stripe_accounts_one_in_use", "is_in_use", unique=True, where=IN_USE),
    )

    stripe_id: Mapped[str]
    is_live: Mapped[bool]
    is_certain: Mapped[bool]
    is_in_use: Mapped[bool] = mapped_column(default=False)
    in_use_since: Mapped[datetime] = mapped_column(default=utcnow)

    @classmethod
    def in_use(cls) -> "StripeAccount | None":
        return db.session.scalar(select(cls).where(cls.is_in_use))

    @classmethod
    def of(cls, identity: Identity) -> "StripeAccount":
        """Its row, made where there is none."""
        columns = {**identity._asdict(), "is_in_use": False, "in_use_since": utcnow(), "created_at": utcnow()}
        db.session.execute(insert_once(cls).values(**columns))
        this = cls.stripe_id == identity.stripe_id, cls.is_live == identity.is_live
        return db.session.scalars(select(cls).where(*this)).one()

    @property
    def label(self) -> str:
        known = self.stripe_id if self.is_certain else "an account that was not noted"
        return f"{known} ({'live' if self.is_live else 'test'} mode)"

    def is_of(self, identity: Identity) -> bool:
        return (self.stripe_id, self.is_live) == (identity.stripe_id, identity.is_live)

    def rename(self, identity: Identity) -> None:
        """It is the same account, of which we know more by now."""
        self.stripe_id, self.is_live, self.is_certain = identity


class FormerId(ModelBase):
    """An id of a plan, a pack or a customer at a Stripe account that is not in use; it is taken up again with it."""

    __tablename__ = "former_stripe_ids"

    stripe_account_id: Mapped[int] = refers_to("stripe_accounts.id", primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    row_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    stripe_id: Mapped[str]
    price_id: Mapped[str | None]
    published_digest: Mapped[str] = mapped_column(default="")

    @classmethod
    def is_of(cls, kind: str, row_id: int) -> bool:
        """Whether another account of Stripe's knows that row."""
        known = select(cls.row_id).where(cls.kind == kind, cls.row_id == row_id).limit(1)
        return db.session.scalar(known) is not None


SOLD: dict[str, Any] = {"plan": Plan, "pack": CreditPack}
BOUGHT: tuple[Any, ...] = (Payment, Subscription)


def any_id() -> tuple[str, str] | None:
    """("price" or "customer", id) of something at the account in use; None where nothing was made there yet."""
    for table in SOLD.values():
        price = db.session.scalar(select(table.stripe_price_id).where(table.stripe_price_id.is_not(None)))
        if price is not None:
            return "price", price
    mine = select(Account.stripe_customer_id).where(Account.stripe_customer_id.is_not(None))
    customer = db.session.scalar(mine.limit(1))
    return ("customer", customer) if customer is not None else None


def use(identity: Identity) -> StripeAccount:
    """Make it the account in use."""
    account = StripeAccount.of(identity)
    account.is_in_use, account.in_use_since = True, utcnow()
    db.session.flush()
    return account


def change(before: StripeAccount, identity: Identity) -> list[AutoRecharge]:
    """Leave all ids with the account of before, and take up those of this one; the auto-recharges that wait now."""
    resting = leave(before)
    before.is_in_use = False
    db.session.flush()
    return_to(use(identity))
    db.session.expire_all()
    return resting


def leave(account: StripeAccount) -> list[AutoRecharge]:
    """What only that account knows is set aside; what was paid for there goes on until its end."""
    for kind, table in SOLD.items():
        set_aside(account, kind, table, "stripe_product_id", "stripe_price_id", "published_digest")
    set_aside(account, "customer", Account, "stripe_customer_id")
    forget_promotions()
    for table in BOUGHT:
        run(update(table).where(table.former_account_id.is_(None)).values(former_account_id=account.id))
    waiting = StripeEvent.state == "received"
    why = f"It is of {account.label}, which is no longer in use."
    run(update(StripeEvent).where(waiting).values(state="parked", error=why, processed_at=utcnow()))
    for attempt in db.session.scalars(select(Recharge).where(Recharge.state.in_(("open", "authentication")))):
        attempt.cancel()
    saved = db.session.scalars(select(AutoRecharge).where(AutoRecharge.card_id.is_not(None)))
    return [settings for settings in saved if settings.lose_card("other_account")]


def set_aside(account: StripeAccount, kind: str, table: Any, name: str, *also: str) -> None:
    rows: Table = table.__table__
    own, target = rows.c[name], FormerId.__table__
    columns: list[Any] = [literal(account.id), literal(kind), rows.c.id, own, *(rows.c[one] for one in also)]
    names = ["stripe_account_id", "kind", "row_id", "stripe_id", "price_id", "published_digest"]
    columns += [] if also else [null(), literal("")]
    run(insert(target).from_select(names, select(*columns).where(own.is_not(None))))  # type: ignore[arg-type]
    nothing = {name: None} | {one: "" if one == "published_digest" else None for one in also}
    run(update(rows).where(own.is_not(None)).values(nothing))


def forget_promotions() -> None:
    """Sale prices and codes are told anew to whichever account is in use."""
    run(update(Plan).where(Plan.sale_price_cents.is_not(None)).values(published_digest=""))
    run(update(Plan).values(stripe_sale_price_id=None))
    nowhere = {"stripe_coupon_id": None, "stripe_promotion_code_id": None, "published_digest": ""}
    run(update(PromotionCode).values(**nowhere))


def return_to(account: StripeAccount) -> None:
    """Take up again what was left with it."""
    for kind, table in SOLD.items():
        take_up(account, kind, table, "stripe_product_id", "stripe_price_id", "published_digest")
    take_up(account, "customer", Account, "stripe_customer_id")
    forget_promotions()
    run(delete(FormerId).where(FormerId.stripe_account_id == account.id))
    for table in BOUGHT:
        run(update(table).where(table.former_account_id == account.id).values(former_account_id=None))


def take_up(account: StripeAccount, kind: str, table: Any, *names: str) -> None:
    rows: Table = table.__table__
    this = and_(FormerId.stripe_account_id == account.id, FormerId.kind == kind, FormerId.row_id == rows.c.id)
    former = (FormerId.stripe_id, FormerId.price_id, FormerId.published_digest)
    new = {name: select(column).where(this).scalar_subquery() for name, column in zip(names, former, strict=False)}
    run(update(rows).where(select(FormerId.row_id).where(this).exists()).values(new))


def run(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
