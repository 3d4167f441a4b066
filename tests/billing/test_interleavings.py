"""Whatever is doubled, shuffled, late, broken off or repeated: the same ledger and the same rows in the end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from app.billing import cards, looking, processing, recharging, ringing
from app.extensions import db
from app.models.ledger import LedgerEntry
from app.models.payment import Payment
from app.models.recharge import Recharge
from app.models.subscription import Subscription
from tests.billing.till import Till


class Killed(BaseException):
    """The process is gone at this line: nothing after it happens, and what was not committed is lost."""


@contextmanager
def killed_at(patch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Dies at the `step`th commit or look, before it."""
    passes = iter(range(1000))

    def deadly(function: Any) -> Any:
        def dying(*arguments: Any) -> Any:
            if next(passes) == step:
                raise Killed
            return function(*arguments)

        return dying

    with patch.context() as broken:
        for module, name in (
            (processing, "commit"),
            (looking, "ticket_for"),
            (cards, "ticket_for"),
            (looking, "follow"),
        ):
            broken.setattr(module, name, deadly(getattr(module, name)))
        with suppress(Killed):
            yield
    ringing.rollback()


def tell(till: Till, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
    """Everything new is told: some of it twice, in any order, and the worker dies now and then."""
    while notices := till.notices():
        till.seen |= {notice.stripe_id for notice in notices}
        notices += chance.sample(notices, len(notices) // 2)
        chance.shuffle(notices)
        for notice in notices:
            processing.receive(notice)
            with killed_at(patch, chance.choice([0, 1, 2, 999, 999])):
                till.process(notice.stripe_id)
        till.make_events_due()
        till.work()


def live(till: Till, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
    """A pack, a subscription, an upgrade, a recharge, two refunds, a renewal, a dispute."""
    pack, plan = till.begin_pack(2500), till.begin_plan("Plus")
    till.sandbox.pay(pack)
    till.sandbox.pay(plan)
    tell(till, chance, patch)
    till.change_quietly("Pro")
    bought = till.last_payment("pack")
    for cents in (333, 777):
        till.sandbox.control("refund", payment_intent=bought.stripe_payment_intent_id, amount=cents)
    tell(till, chance, patch)
    till.turn_on_recharge(below=10**6, most=1000)
    with killed_at(patch, chance.choice([0, 1, 2])):
        recharging.recharge(till.account_id)
    till.sandbox.control("clock", to="next_renewal")
    tell(till, chance, patch)
    till.sandbox.control(
        "dispute", payment_intent=till.last_payment("recharge").stripe_payment_intent_id, action="open"
    )
    tell(till, chance, patch)


def outcome(till: Till) -> Any:
    """All that money is about, without the names that Stripe gave."""
    entries = db.session.query(LedgerEntry).filter_by(account_id=till.account_id)
    ledger = sorted((one.kind, one.credits_nanos, bool(one.allowance_nanos)) for one in entries)
    payments = sorted(
        (one.kind, one.state, one.price_cents, one.refunded_cents) for one in db.session.query(Payment)
    )
    rows = [(one.status, one.plan_id, one.is_in_force) for one in db.session.query(Subscription)]
    attempts = [one.state for one in db.session.query(Recharge)]
    account = till.account
    return ledger, payments, rows, attempts, account.credits_nanos, account.frozen_by, account.plan_id


@pytest.mark.parametrize("seed", range(6))
def test_any_interleaving_ends_in_the_same_ledger_and_rows(
    till: Till, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(till, random.Random(seed), monkeypatch)  # noqa: S311
    ledger, payments, rows, attempts, credits, frozen_by, _ = outcome(till)
    kinds = [kind for kind, _, _ in ledger]
    assert sorted(kinds) == sorted(
        ["purchase", "refill", "refill", "plan_change", "refund", "refund", "recharge", "dispute"]
    )
    assert payments == EXPECTED_PAYMENTS
    assert (len(rows), rows[0][0], rows[0][2], attempts, frozen_by) == (
        1,
        "active",
        True,
        ["paid"],
        "dispute",
    )
    worth = 2500 * 10**7 * 5200 // 10000
    assert credits == worth - (2 * worth * 1110 + 2500) // 5000
    assert till.allowance == 55000
    assert till.is_explained()


EXPECTED_PAYMENTS = [
    ("invoice", "paid", 2000, 0),
    ("invoice", "paid", 8000, 0),
    ("invoice", "paid", 10000, 0),
    ("pack", "paid", 2500, 1110),
    ("recharge", "paid", 1000, 0),
]
