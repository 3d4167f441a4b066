"""Refusals: why a call may not start, or a purchase may not be made, as a code and its facts. billing-rules.md 6."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from app.models.base import SECOND, rounded_up


class Refusal(Exception):
    """The gate says no. `code` is one of billing-rules.md 6; `retry_after` is in seconds; `details` go into the answer.

    `context` is what else its sentence says; `app/web/refusals.py` has the sentence of each code.
    Details are `needed`, `available`, `reserved` in nano-dollars, `resets_at` a moment, `model` a cheaper one,
    `counts` (`used`, `limit`, `remaining` of a number that the plan allows)
    and `way_out`: "upgrade", "buy", "verify", "wait", "billing", "members" or "support".
    """

    def __init__(
        self,
        code: str,
        *,
        context: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.context = dict(context or {})
        self.retry_after = retry_after
        self.details = details
        self.attempt: Attempt | None = None
        self.is_trip = False
        """Whether spending is to be paused for it, which is written down as the refusal is."""


class Attempt(NamedTuple):
    """The call that was refused: its model, the bound of its input and the output asked for, in tokens, its plan.

    `image_price_id` is the fixed price of the images that were asked for, whose number is the output.
    """

    model: str
    input_bound: int
    max_output_tokens: int
    plan_id: int
    image_price_id: int | None = None


class InvalidRequest(Exception):
    """Input that cannot be taken: `errors` names each field with what is wrong with it."""

    code = "invalid_request"

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(message)}" for name, message in errors.items()))
        self.errors = errors


class Conflict(Exception):
    """A request that contradicts what is already there (409); `code` as in the interface, `details` go into the answer.

    `case` chooses among the sentences of one code, and `context` is what else the sentence says;
    `app/web/conflicts.py` has them.
    """

    def __init__(
        self, code: str, *, case: str | None = None, context: Mapping[str, Any] | None = None, **details: Any
    ) -> None:
        super().__init__(code)
        self.code = code
        self.case = case
        self.context = dict(context or {})
        self.details = details


class PricingError(ValueError):
    """A price, margin or worth that cannot be: the message names it."""


def seconds_until(moment: datetime, now: datetime) -> int:
    return max(1, rounded_up(moment - now, SECOND))
