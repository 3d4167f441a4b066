"""The people of the tests and what they talk to: ada pays, bob is broke, eve must never see ada's things."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from argon2 import PasswordHasher

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.stripe_objects import PaymentState
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.provider_account import ProviderAccount
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.usage_rollup import AccountDay

PASSWORD = "correct horse battery"
CREDIT = 1_000_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def hashed_password() -> str:
    """The hash of PASSWORD at argon2's cheapest, as each sign-in pays for it anew."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def person(name: str, *, plan: Plan | None = None, allowance: int = 0, credits: int = 0) -> Account:
    """A verified person's account, not yet committed, with balances in nanos that ledger entries explain."""
    user = User(email=f"{name}@example.com", name=name.title())
    user.password_hash = hashed_password()
    user.verify_email()
    db.session.add(user)
    db.session.flush()
    account = Account.open(user, plan=plan)
    account.period_end = datetime(2100, 1, 1, tzinfo=UTC)
    if allowance or credits:
        give(account, allowance=allowance, credits=credits)
    return account


def give(account: Account, **amounts: int) -> None:
    """A grant of `allowance` and `credits` in nanos, either of which may be negative."""
    key = f"test:{account.id}:{len(account.entries())}"
    LedgerEntry.post(account, "grant", key, **amounts)


def actor(account: Account, **changes: Any) -> Actor:
    user = account.memberships[0].user
    fields = {
        "user_id": user.id,
        "account_id": account.id,
        "role": "owner",
        "email": user.email,
        "name": user.name,
    }
    return Actor(**(fields | {"is_verified": True} | changes))


def api_key(account: Account) -> str:
    """The secret of a new key of the account's owner; committed."""
    _key, secret = ApiKey.make(account.id, account.memberships[0].user_id, "tests")
    db.session.commit()
    return secret


def model(
    name: str = "gpt-test",
    *,
    kind: str = "openai",
    dollars_in: str = "2.5",
    dollars_out: str = "10",
    **fields: Any,
) -> AIModel:
    """A model on sale at these dollars per million tokens, served by the address of OPENAI_ or ANTHROPIC_BASE_URL."""
    vendor = {"openai": "OPENAI", "anthropic": "ANTHROPIC"}.get(kind)
    variables = {"key_variable": f"{vendor}_API_KEY", "base_url_variable": f"{vendor}_BASE_URL"} if vendor else {}
    provider = ProviderAccount(name=f"test {name}", kind=kind, **variables)
    offered = AIModel(
        name=name,
        title=name,
        provider=provider,
        **{"context_window": 128_000, "max_output_tokens": 16_384} | fields,
    )
    db.session.add_all([provider, offered, price(offered, dollars_in, dollars_out)])
    db.session.flush()
    return offered


def price(offered: AIModel, dollars_in: str, dollars_out: str, **fields: Any) -> ModelPrice:
    """An approved price with all input buckets at one price."""
    per_input, per_output = nanos_per_million(dollars_in), nanos_per_million(dollars_out)
    inputs = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h")
    figures = {f"{bucket}_nanos": per_input for bucket in inputs} | {"output_nanos": per_output}
    times = {"effective_from": LONG_AGO, "approved_at": LONG_AGO}
    return ModelPrice(model=offered, **(figures | times | fields))


def nanos_per_million(dollars: str) -> int:
    whole, _, part = dollars.partition(".")
    return int(whole + part.ljust(9, "0")[:9])


@dataclass
class Heard:
    """An event stream as it was read: the events in their order, and their ids."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(body["text"] for name, body in self.events if name == "delta")

    @property
    def start(self) -> dict[str, Any]:
        return self.events[0][1]

    @property
    def end(self) -> dict[str, Any]:
        """The body of `done` or `error`."""
        name, body = self.events[-1]
        assert name in {"done", "error"}, self.events
        return body

    @property
    def ended_as(self) -> str:
        return self.events[-1][0]


def heard(stream: str | bytes) -> Heard:
    """The events of a whole stream."""
    text = stream.decode() if isinstance(stream, bytes) else stream
    result = Heard()
    for block in text.split("\n\n"):
        for identifier, name, body in parsed(block):
            result.events.append((name, body))
            result.ids.append(identifier)
    return result


def parsed(block: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    result = re.fullmatch(r"id: (\d+)\nevent: (\w+)\ndata: (.*)", block.strip("\n"))
    if result:
        yield int(result[1]), result[2], json.loads(result[3])


def paid(intent: str, payment: Payment) -> PaymentState:
    """What Stripe says of a payment intent that paid for it in full."""
    cents = payment.price_cents
    return PaymentState(intent, "succeeded", cents, cents, "usd", "cus_1", payment.created_at)


def used(member: Membership, nanos: int, day: date | None = None) -> AccountDay:
    """A day on which a member's calls came to so much."""
    none = dict.fromkeys(("chat_id", "calls", "input_tokens", "output_tokens", "absorbed_nanos"), 0)
    who = {"account_id": member.account_id, "user_id": member.user_id}
    row = {"day": day or utcnow().date(), "model": "m", "operation": "chat", **who, **none}
    return AccountDay(**row, cost_nanos=nanos, paid_nanos=nanos)
