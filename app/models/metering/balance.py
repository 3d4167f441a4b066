"""The arithmetic of a balance: what is available, and what pays for a call. billing-rules.md 4. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Payment:
    """What paid for a call; the three add up to its cost. `absorbed` is ours."""

    allowance: int
    credits: int
    absorbed: int


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's figures at one moment. `daily_limit` is None where the plan has none."""

    allowance: int
    credits: int
    reserved: int = 0
    daily_limit: int | None = None
    daily_used: int = 0

    @property
    def day_rest(self) -> int:
        """What of the allowance may still be used today."""
        if self.daily_limit is None:
            return self.allowance
        return min(self.allowance, max(0, self.daily_limit - self.daily_used))

    @property
    def available(self) -> int:
        return self.day_rest + self.credits - self.reserved

    @property
    def unreserved(self) -> int:
        """What would be available if no call were running."""
        return self.available + self.reserved

    def pay(self, cost: int, ceiling: int, overdraft: int) -> Payment:
        """Split a cost: allowance up to today's rest, credits to 0, the rest of the allowance, then debt.

        The charge never exceeds `ceiling`, and never takes credits below -overdraft: the rest is absorbed.
        """
        due = min(cost, ceiling)
        from_day = min(due, self.day_rest)
        from_credits = min(due - from_day, max(0, self.credits))
        from_rest = min(due - from_day - from_credits, self.allowance - from_day)
        left = due - from_day - from_credits - from_rest
        debt = min(left, max(0, overdraft + min(0, self.credits)))
        paid_allowance, paid_credits = from_day + from_rest, from_credits + debt
        return Payment(paid_allowance, paid_credits, cost - paid_allowance - paid_credits)
