"""What people's recent calls of a model cost at two prices, to tell them of a change."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.extensions import db
from app.models.catalog.rates import Rates
from app.models.identity.user import User
from app.models.metering.usage import Usage
from app.providers.base import TOKEN_BUCKETS, TokenUsage

SLICE = 10_000


@dataclass(slots=True)
class Use:
    """A person's calls of a model: how many, and what their tokens cost in nanos at two prices."""

    user: User
    calls: int
    now: int
    then: int


def uses_of(model: str, since: datetime, now: Rates, then: Rates) -> list[Use]:
    """Everybody whose calls of the model were paid since that moment; guests and those who have gone left out."""
    buckets = [getattr(Usage, bucket) for bucket in TOKEN_BUCKETS]
    paid = Usage.model == model, Usage.state == "settled", Usage.settled_at >= since
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    calls = select(Usage.user_id, *buckets).where(*paid)
    for user_id, *counts in db.session.execute(calls, execution_options={"yield_per": SLICE}):
        used, total = TokenUsage(*counts), sums[user_id]
        total[0] += 1
        total[1] += now.cost_of(used)
        total[2] += then.cost_of(used)
    people = select(User).where(User.id.in_(sums), User.disabled_at.is_(None)).order_by(User.id)
    return [Use(user, *sums[user.id]) for user in db.session.scalars(people)]
