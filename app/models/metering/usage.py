"""One model call: a reservation while it runs, its receipt when it is done. billing-rules.md 3 to 5."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ForeignKey, Index, Table, UniqueConstraint, case, cast, func, select, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, not_negative, one_of, partial_index, refers_to, utcnow
from app.models.catalog.rates import AnyRates
from app.providers.base import PIECES, TOKEN_BUCKETS

if TYPE_CHECKING:
    from app.models.catalog.price import ModelPrice

PER = dict.fromkeys(TOKEN_BUCKETS, 1_000_000) | dict.fromkeys(PIECES, 1)
"""How many of a bucket its price is for."""

BUCKETS = tuple(PER)
OUTCOMES = ("done", "stopped", "failed", "interrupted")
BY_KEY = text("api_key_id IS NOT NULL")
OF_IMAGES = text("image_price_id IS NOT NULL")
CONTINUED = text("continues_id IS NOT NULL")
RUNNING = text("state = 'running'")
ENDED = text("settled_at IS NOT NULL")
RELEASED = text("state = 'released'")


class Usage(Model):
    """A call to a model. `created_at` is when it began; all `*_nanos` are nano-dollars.

    state: running (its reservation counts) -> settled (paid) | released (nothing paid, cost absorbed).
    renewed_at: the last sign of life of a running call whose text is kept nowhere.
    cost_nanos = allowance_paid_nanos + credits_paid_nanos + absorbed_nanos.
    `answered_model` and `billed_nanos` are what the provider says; `unpriced_pieces` it bills, and no price is known.
    `plan_id` is the plan that it was called on; rows of before have none.
    `image_price_id` is the fixed price of images, `provider_nanos` what they cost us by the vendor's tokens.
    `left_out` is how many earlier messages no longer fit into the prompt, `earlier_bps` the share of it that was said
    before the last question, by our own count.
    `shortened_from` is the output that was asked for where balance or limits afforded less.
    `continues_id` is the call whose answer this one goes on with; each goes on once.
    """

    __tablename__ = "usages"
    __table_args__ = (
        one_of("state", "running", "settled", "released"),
        one_of("outcome", *OUTCOMES),
        one_of("source", "reported", "estimated", "none"),
        *not_negative("reserved_nanos", "cost_nanos", "allowance_paid_nanos", "credits_paid_nanos"),
        *not_negative("absorbed_nanos", "uncached_input", "cache_read", "cache_write_5m", "cache_write_1h"),
        *not_negative("output", "images", "searches", "provider_nanos"),
        UniqueConstraint("account_id", "idempotency_key"),
        Index("ix_usages_account_newest", "account_id", "created_at"),
        partial_index("ix_usages_key", "api_key_id", "day", where=BY_KEY),
        Index("ix_usages_price", "price_id"),
        partial_index("ix_usages_image_price", "image_price_id", "id", where=OF_IMAGES),
        partial_index("uq_usages_continues", "continues_id", unique=True, where=CONTINUED),
        partial_index("ix_usages_running", "created_at", where=RUNNING),
        partial_index("ix_usages_settled", "settled_at", where=ENDED),
        partial_index("ix_usages_account_images", "account_id", "created_at", where=OF_IMAGES),
        partial_index("ix_usages_account_released", "account_id", "created_at", where=RELEASED),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int] = refers_to("users.id")
    plan_id: Mapped[int | None] = mapped_column(BigId)
    api_key_id: Mapped[int | None] = refers_to("api_keys.id")
    chat_id: Mapped[int | None] = refers_to("chats.id", index=True)
    document_id: Mapped[int | None] = mapped_column(BigId, index=True)
    operation: Mapped[str] = mapped_column(default="chat")
    model: Mapped[str]
    price_id: Mapped[int] = refers_to("model_prices.id")
    image_price_id: Mapped[int | None] = mapped_column(ForeignKey("image_prices.id"))
    state: Mapped[str] = mapped_column(default="running")
    outcome: Mapped[str | None]
    day: Mapped[date]
    settled_at: Mapped[datetime | None]
    renewed_at: Mapped[datetime | None]
    reserved_nanos: Mapped[Nanos]
    max_output_tokens: Mapped[int]
    shortened_from: Mapped[int | None]
    continues_id: Mapped[int | None] = mapped_column(ForeignKey("usages.id"))

    uncached_input: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_read: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_write_5m: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_write_1h: Mapped[int] = mapped_column(BigInteger, default=0)
    output: Mapped[int] = mapped_column(BigInteger, default=0)
    images: Mapped[int] = mapped_column(default=0)
    searches: Mapped[int] = mapped_column(default=0)
    source: Mapped[str] = mapped_column(default="none")
    raw: Mapped[dict[str, Any]] = mapped_column(default=dict)

    finish_reason: Mapped[str | None]
    answered_model: Mapped[str | None]
    service_tier: Mapped[str | None]
    billed_nanos: Mapped[Nanos | None]
    unpriced_pieces: Mapped[int] = mapped_column(default=0)
    left_out: Mapped[int] = mapped_column(default=0)
    earlier_bps: Mapped[int] = mapped_column(default=0)
    is_via_gateway: Mapped[bool] = mapped_column(default=False)

    cost_nanos: Mapped[Nanos] = mapped_column(default=0)
    provider_nanos: Mapped[Nanos | None]
    allowance_paid_nanos: Mapped[Nanos] = mapped_column(default=0)
    credits_paid_nanos: Mapped[Nanos] = mapped_column(default=0)
    absorbed_nanos: Mapped[Nanos] = mapped_column(default=0)

    idempotency_key: Mapped[str | None]
    request_hash: Mapped[str | None]

    price = relationship("ModelPrice")
    image_price = relationship("ImagePrice")
    user = relationship("User")
    continues: "Mapped[Usage | None]" = relationship("Usage", remote_side="Usage.id")

    @classmethod
    def total_of(cls, chat_id: int, account_id: int) -> tuple[int, int]:
        """What a chat has come to: nanos paid, and tokens in and out, of the calls that were settled."""
        sums = select(func.sum(cls.paid_nanos), func.sum(cls.input_tokens + cls.output))
        nanos, tokens = db.session.execute(
            sums.where(cls.chat_id == chat_id, cls.account_id == account_id, cls.state == "settled")
        ).one()
        return int(nanos or 0), int(tokens or 0)

    @classmethod
    def last_of(cls, call_id: int) -> int:
        """The last call of the answer that this one began or went on with."""
        while following := db.session.scalar(select(cls.id).filter_by(continues_id=call_id)):
            call_id = following
        return call_id

    @property
    def rates(self) -> AnyRates:
        """What it is charged by."""
        price: ModelPrice = self.price
        return self.image_price.rates_with(price) if self.image_price else price.rates

    def lines(self, rates: AnyRates | None = None) -> list[dict[str, Any]]:
        """Each bucket that is charged, with its price: nano-dollars for `per` of it. At its own rates, or at others."""
        prices = (rates or self.rates).prices_for(self.input_tokens)
        return [
            {"bucket": bucket, "quantity": quantity, "price_nanos": prices[bucket], "per": per}
            for bucket, per in PER.items()
            if (quantity := getattr(self, bucket)) and bucket in prices
        ]

    @hybrid_property
    def paid_nanos(self) -> int:
        """What the user pays for the call."""
        return self.allowance_paid_nanos + self.credits_paid_nanos

    @property
    def paid_so_far_nanos(self) -> int:
        """What the user pays for the answer up to this call: for those that it goes on with, too."""
        return self.paid_nanos + (self.continues.paid_so_far_nanos if self.continues else 0)

    @hybrid_property
    def input_tokens(self) -> int:
        return self.uncached_input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    def is_by_fallback(self, model: str) -> bool:
        """Whether the model that a message names answered in the place of the one that was asked."""
        return self.answered_model == model != self.model

    @property
    def is_estimated(self) -> bool:
        return self.source == "estimated"

    @property
    def seconds(self) -> float | None:
        return (self.settled_at - self.created_at).total_seconds() if self.settled_at else None

    @classmethod
    def with_idempotency_key(cls, account_id: int, key: str) -> "Usage | None":
        """The call that this key began within a day; an older one gives the key free."""
        usage = db.session.scalar(select(cls).filter_by(account_id=account_id, idempotency_key=key))
        if usage is None or (utcnow() - usage.created_at).days < 1:
            return usage
        usage.idempotency_key = None
        db.session.flush()
        return None


CONSTANTS: dict[str, Any] = {
    column.name: column.default.arg if column.default is not None and column.default.is_scalar else None
    for column in Usage.__table__.columns
    if column.name not in {"id", "created_at"} and (column.nullable or column.default is not None)
} | {"raw": {}}
"""What a row begins with where nothing else is said."""

USAGES: Table = Usage.__table__  # type: ignore[assignment]
COUNTED = case(
    (USAGES.c.state == "running", USAGES.c.reserved_nanos),
    else_=USAGES.c.allowance_paid_nanos + USAGES.c.credits_paid_nanos,
)
"""What a call counts as against a limit: what is paid for it, and while it runs the most that it can cost."""

SUM = select(cast(func.coalesce(func.sum(COUNTED), 0), BigInteger))
