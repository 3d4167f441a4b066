"""What accounts used in a week, from the daily totals: for digests of many accounts by a few statements."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import func, select

from app.extensions import db
from app.models.chat.chat import Chat
from app.models.identity.user import User
from app.models.metering.usage_rollup import AccountDay

WEEK = timedelta(days=7)
MOST_SHOWN = 5
Shares = list[tuple[str, int]]


@dataclass(slots=True)
class WeeklyUse:
    """Nanos that were paid: in all and in the week before, by model, by member and by each member's chats."""

    spent: int = 0
    before: int = 0
    by_model: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_user: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    by_chat: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    @property
    def models(self) -> Shares:
        return dearest(self.by_model)

    def dearest_chat_of(self, user_id: int) -> tuple[int, int]:
        """A member's own, and its nanos; zeros where there is none. Chats are private, also from owners."""
        return max(self.by_chat[user_id].items(), key=lambda share: share[1], default=(0, 0))


def dearest(shares: dict[str, int]) -> Shares:
    return sorted(shares.items(), key=lambda share: (-share[1], share[0]))[:MOST_SHOWN]


def weekly_uses(account_ids: Sequence[int], monday: date) -> dict[int, WeeklyUse]:
    """By account: the seven days before that Monday. Who used nothing in them is left out."""
    uses: dict[int, WeeklyUse] = defaultdict(WeeklyUse)
    week, two = monday - WEEK, monday - 2 * WEEK
    keys = AccountDay.account_id, AccountDay.user_id, AccountDay.model, AccountDay.chat_id
    is_this_week = (AccountDay.day >= week).label("is_this_week")
    rows = (
        select(*keys, is_this_week, func.sum(AccountDay.paid_nanos))
        .where(AccountDay.account_id.in_(account_ids), AccountDay.day >= two, AccountDay.day < monday)
        .group_by(*keys, is_this_week)
    )
    for account_id, user_id, model, chat_id, is_now, nanos in db.session.execute(rows):
        add(uses[account_id], user_id, model, chat_id, int(nanos) if is_now else -int(nanos))
    return {account_id: use for account_id, use in uses.items() if use.spent}


def add(use: WeeklyUse, user_id: int, model: str, chat_id: int, nanos: int) -> None:
    """A positive amount is of this week, a negative one of the week before."""
    if nanos < 0:
        use.before -= nanos
        return
    use.spent += nanos
    use.by_model[model] += nanos
    use.by_user[user_id] += nanos
    if chat_id:
        use.by_chat[user_id][chat_id] += nanos


def names_of(user_ids: Iterable[int]) -> dict[int, str]:
    rows = db.session.execute(select(User.id, User.name, User.email).where(User.id.in_(list(user_ids))))
    return {user_id: name or email for user_id, name, email in rows}


def titles_of(chat_ids: Iterable[int]) -> dict[int, str]:
    """Those that are not deleted."""
    live = Chat.id.in_(list(chat_ids)), Chat.deleted_at.is_(None)
    rows = db.session.execute(select(Chat.id, Chat.title).where(*live))
    return {row.id: row.title for row in rows}
