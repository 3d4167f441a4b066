"""Calls that are reserved and settled, in any order and with any usage."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from app.models.metering.refusal import Refusal
from app.models.metering.reservation import settle
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.histories.environment import Stage
from tests.histories.oracle import FLOOR, OVERDRAFT, Call
from tests.support.calls import reserve
from tests.support.people import actor

INPUT_PRICE, OUTPUT_PRICE = 25_000, 100_000
"""Nanos per token: dear, so that few calls use an allowance up."""


class Calls(Stage):
    """What the gate and the receipt must say."""

    @precondition(lambda self: self.clock is not None)
    @rule(letters=st.integers(0, 4000), wanted=st.sampled_from([1, 255, 256, 257, 1000, 4096]))
    def reserve(self, letters: int, wanted: int) -> None:
        self.book.roll_over(self.now)
        most_input = (letters + 32) * INPUT_PRICE
        expected = self.book.refusal(self.now)
        tokens = self.book.affordable_output(most_input, OUTPUT_PRICE, wanted)
        if expected is None and tokens < min(FLOOR, wanted):
            needed = most_input + min(FLOOR, wanted) * OUTPUT_PRICE
            fits_later = needed <= self.book.available() + self.book.reserved + OVERDRAFT
            expected = "credits_reserved" if fits_later else "request_too_large"
        prompt = Prompt("m", (PromptMessage("user", "x" * letters),), wanted)
        if expected is not None:
            with pytest.raises(Refusal) as refused:
                reserve(actor(self.account), prompt, self.price)
            assert refused.value.code == expected
            return
        made = reserve(actor(self.account), prompt, self.price)
        assert (made.prompt.max_output_tokens, made.ceiling) == (tokens, most_input + tokens * OUTPUT_PRICE)
        self.reservations[made.usage_id] = made
        self.book.begin_day()
        self.book.calls[made.usage_id] = Call(made.ceiling, self.now.date(), self.now)
        assert made.available == self.book.available()

    @precondition(lambda self: self.clock is not None and self.reservations)
    @rule(
        which=st.integers(0, 99),
        outcome=st.sampled_from(["done", "done", "stopped", "failed", "interrupted"]),
        tokens_in=st.integers(0, 5000),
        tokens_out=st.integers(0, 6000) | st.just(0),
    )
    def settle(self, which: int, outcome: str, tokens_in: int, tokens_out: int) -> None:
        number = sorted(self.reservations)[which % len(self.reservations)]
        reservation = self.reservations.pop(number)
        usage = TokenUsage(uncached_input=tokens_in, output=tokens_out, source="reported")
        cost = tokens_in * INPUT_PRICE + tokens_out * OUTPUT_PRICE
        is_paid = outcome in {"done", "stopped"} and tokens_out > 0
        is_of_sender = outcome in {"done", "stopped"} and not is_paid
        allowance, credits, absorbed = self.book.settle(
            number, cost, is_paid=is_paid, is_of_sender=is_of_sender, now=self.now
        )
        receipt = settle(reservation, usage, outcome)
        assert receipt is not None
        assert (receipt.paid, receipt.absorbed) == (allowance + credits, absorbed)
        assert receipt.available == self.book.available()
        assert settle(reservation, usage, outcome) is None
