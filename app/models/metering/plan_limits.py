"""What a plan allows in numbers: chats and images of the period, documents as they stand. billing-rules.md 6."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit` is None where the plan has none."""

    used: int
    limit: int | None

    @property
    def remaining(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def details(self) -> dict[str, Any]:
        counts = {"used": self.used, "limit": self.limit, "remaining": self.remaining}
        return {"counts": counts, "way_out": "upgrade"}


def remaining(account_state: AccountState, kind: str) -> int | None:
    """How many `chats` or `documents` are left; None where the plan sets no limit, which asks for no count."""
    plan = db.session.get_one(Plan, account_state.plan_id)
    if kind == "documents":
        used, limit = Document.held_by, plan.documents
        return None if limit is None else Limit(used(account_state.account_id), limit).remaining
    if plan.chats_per_month is None:
        return None
    begun = Chat.started_since(account_state.account_id, account_state.period_start)
    return Limit(begun, plan.chats_per_month).remaining


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """All of an account's."""

    chats: Limit
    documents: Limit
    images: Limit

    @classmethod
    def of(cls, account_state: AccountState) -> PlanLimits:
        plan = db.session.get_one(Plan, account_state.plan_id)
        account_id, since = account_state.account_id, account_state.period_start
        return cls(
            chats=Limit(Chat.started_since(account_id, since), plan.chats_per_month),
            documents=Limit(Document.held_by(account_id), plan.documents),
            images=Limit(images_since(account_id, since), plan.images_per_month),
        )


def images_since(account_id: int, moment: datetime) -> int:
    """How many images were paid for since then, those that are being made included."""
    mine = Usage.account_id == account_id, Usage.created_at >= moment, Usage.operation == "image"
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
    """Room for so many more in this period."""
    plan = db.session.get_one(Plan, account_state.plan_id)
    if plan.images_per_month is None:
        return
    used = images_since(account_state.account_id, account_state.period_start)
    limit = Limit(used, plan.images_per_month)
    if (limit.remaining or 0) < images:
        details = limit.details | {"resets_at": account_state.period_end}
        wait = seconds_until(account_state.period_end, at)
        raise Refusal("image_limit_reached", context={"plan": plan.name}, retry_after=wait, **details)
