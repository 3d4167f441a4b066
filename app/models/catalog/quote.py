"""A quote for a pack: its price and worth before it is bought. billing-rules.md 2, 8 and 10."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from app.models.catalog.worth import credits_per_unit
from app.models.metering.refusal import Refusal

if TYPE_CHECKING:
    from app.models.catalog.plan import CreditPack
    from app.models.catalog.promotion_code import PromotionCode
    from app.models.identity.account import Account


def check_packs_allowed(account: "Account") -> None:
    if account.plan.status == "inactive":
        raise Refusal("plan_inactive", context={"plan": account.plan.name}, way_out="upgrade")
    if not account.plan.allows_packs:
        raise Refusal("packs_not_allowed", context={"plan": account.plan.name}, way_out="upgrade")


@dataclass(frozen=True, slots=True)
class Quote:
    """`list_cents` before a discount; `sold_nanos` is what that buys, `bonus_nanos` what a code adds.

    `saves_card`: the buyer wants the card kept for auto-recharge.
    """

    pack: "CreditPack"
    quantity: int
    list_cents: int
    sold_nanos: int
    discount_cents: int = 0
    bonus_nanos: int = 0
    code: "PromotionCode | None" = None
    saves_card: bool = False

    @property
    def price_cents(self) -> int:
        return self.list_cents - self.discount_cents

    @property
    def worth_nanos(self) -> int:
        return self.sold_nanos + self.bonus_nanos

    @property
    def credits_per_dollar(self) -> Decimal:
        """Of the whole purchase, for each unit of its currency."""
        return credits_per_unit(self.worth_nanos, self.price_cents)

    @property
    def terms(self) -> tuple[object, ...]:
        """What is bought, whatever it costs now: the pack, how many or for how much, and with which code."""
        amount = self.list_cents if self.pack.is_any_amount else None
        code_id = self.code.id if self.code else None
        return "pack", self.pack.id, self.quantity, amount, code_id, self.saves_card

    def with_code(self, code: "PromotionCode") -> "Quote":
        """The same purchase with what a code takes off or adds."""
        discount, bonus = code.discount_cents(self.list_cents), code.bonus_nanos(self.sold_nanos)
        return replace(self, discount_cents=discount, bonus_nanos=bonus, code=code)
