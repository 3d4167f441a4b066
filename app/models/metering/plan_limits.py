"""A plan's limits in numbers: chats and images of the period, current documents. billing-rules.md 6."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.extensions import db
from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat
from app.models.documents.document import Document
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import Refusal, seconds_until
from app.models.metering.usage import Usage

NEAR_PERCENT = 80


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit` is None where the plan has none."""

    used: int
    limit: int | None

    @property
    def remaining(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def is_counted(self) -> bool:
        """Whether there is anything to count: not in a plan that has none of it."""
        return self.limit is not None and (self.limit > 0 or self.used > 0)

    @property
    def is_near(self) -> bool:
        """Whether most of it is used."""
        return self.limit is not None and self.used * 100 >= self.limit * NEAR_PERCENT

    @property
    def details(self) -> dict[str, Any]:
        counts = {"used": self.used, "limit": self.limit, "remaining": self.remaining}
        return {"counts": counts, "way_out": "upgrade"}


def remaining(account_state: AccountState, kind: str) -> int | None:
    """How many `chats`, `documents` or `images` are left; None, and nothing is counted, where the plan has no limit."""
    plan = db.session.get_one(Plan, account_state.plan_id)
    limit, used = {
        "documents": (plan.documents, lambda account_id, _since: Document.held_by(account_id)),
        "chats": (plan.chats_per_month, Chat.started_since),
        "images": (plan.images_per_month, images_since),
    }[kind]
    if limit is None:
        return None
    return Limit(used(account_state.account_id, account_state.period_start), limit).remaining


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """All of an account's."""

    chats: Limit
    documents: Limit
    images: Limit

    @property
    def has_any(self) -> bool:
        return any(kind.is_counted for kind in (self.chats, self.documents, self.images))

    @classmethod
    def of(cls, account_state: AccountState) -> "PlanLimits":
        plan = db.session.get_one(Plan, account_state.plan_id)
        account_id, since = account_state.account_id, account_state.period_start
        return cls(
            chats=Limit(Chat.started_since(account_id, since), plan.chats_per_month),
            documents=Limit(Document.held_by(account_id), plan.documents),
            images=Limit(images_since(account_id, since), plan.images_per_month),
        )


def images_since(account_id: int, moment: datetime) -> int:
    """How many images were paid for since then, those that are being made included."""
    mine = Usage.account_id == account_id, Usage.created_at >= moment, Usage.image_price_id.is_not(None)
    made = db.session.scalar(select(func.sum(Usage.images)).where(*mine, Usage.state == "settled")) or 0
    running = select(func.sum(Usage.max_output_tokens)).where(*mine, Usage.state == "running")
    return int(made) + int(db.session.scalar(running) or 0)


def check_documents(account_state: AccountState) -> None:
    """Room for one more. A plan with fewer than there are keeps all of them, and takes no new one."""
    plan = db.session.get_one(Plan, account_state.plan_id)
    if plan.documents is None:
        return
    limit = Limit(Document.held_by(account_state.account_id), plan.documents)
    if not limit.remaining:
        raise Refusal("document_limit_reached", context={"plan": plan.name}, **limit.details)


def check_images(account_state: AccountState, images: int, at: datetime) -> None:
    """Room for so many in this period; their call is reserved by now, so that they are counted already."""
    plan = db.session.get_one(Plan, account_state.plan_id)
    if plan.images_per_month is None:
        return
    used = images_since(account_state.account_id, account_state.period_start) - images
    limit = Limit(used, plan.images_per_month)
    if (limit.remaining or 0) < images:
        resets = account_state.period_end if plan.images_per_month else None
        wait = seconds_until(account_state.period_end, at)
        context = {"plan": plan.name}
        raise Refusal("image_limit_reached", context=context, retry_after=wait, resets_at=resets, **limit.details)
