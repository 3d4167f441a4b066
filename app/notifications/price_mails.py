"""Mails about prices and models: to come, corrected, ending."""

import hashlib
from typing import Any

from app import mailer
from app.models.base import credits_figure, credits_text
from app.models.billing.rerating import Rerating
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price_ahead import PriceAhead
from app.models.identity.account import Account
from app.models.identity.user import User
from app.models.metering.model_use import Use
from app.models.operations.outbox import OutgoingMail
from app.notifications.recipients import admins, owner
from app.web.formatting import date_text, datetime_text

NOTICES = 30


def of_price(ahead: PriceAhead, uses: list[Use]) -> None:
    """Another price is known to come: the admins, and each who used the model of late, by their own use."""
    key, change = price_key(ahead), change_texts(ahead)
    for use in uses:
        page_url = mailer.link("chat.show")
        mailer.post(
            f"{key}:{use.user.id}",
            use.user.email,
            "price_changes",
            **change,
            **use_texts([use]),
            page_url=page_url,
        )
    totals = {"people": len(uses), "admin_url": mailer.link("price.index_view")}
    admins(f"{key}:admin", "price_changes_admin", **change, **use_texts(uses), **totals)


def price_key(ahead: PriceAhead) -> str:
    return f"price_ahead:{ahead.then.id}"


def change_texts(ahead: PriceAhead) -> dict[str, str]:
    prices = {"now": ahead.now, "then": ahead.then}
    inputs = {f"input_{when}": credits_figure(price.uncached_input_nanos) for when, price in prices.items()}
    outputs = {f"output_{when}": credits_figure(price.output_nanos) for when, price in prices.items()}
    return {"model": ahead.model.title, "begins": datetime_text(ahead.begins), **inputs, **outputs}


def use_texts(uses: list[Use]) -> dict[str, Any]:
    now, then = sum(use.now for use in uses), sum(use.then for use in uses)
    calls = sum(use.calls for use in uses)
    return {"calls": calls, "cost_now": credits_text(now), "cost_then": credits_text(then)}


def of_price_notices(texts: list[str], said: str) -> int:
    """What other sources say of our prices, to the admins, once for the same that is `said`."""
    key = f"price_notices:{hashlib.sha256(said.encode()).hexdigest()[:24]}"
    if OutgoingMail.was_posted(key):
        return 0
    admins(
        key,
        "price_notices",
        notices=texts[:NOTICES],
        count=len(texts),
        admin_url=mailer.link("registry.index"),
    )
    return len(texts)


def of_correction(rerating: Rerating, account: Account, returned: int) -> None:
    """A price was wrong: what came back, and where each receipt says so."""
    owner(account, rerating.key, "price_corrected", **correction_texts(rerating, returned))


def correction_texts(rerating: Rerating, returned: int) -> dict[str, str]:
    return {
        "model": rerating.price.model.title,
        "since": datetime_text(rerating.since),
        "until": datetime_text(rerating.until),
        "returned": credits_text(returned),
        "reason": rerating.reason,
    }


def of_ending(model: AIModel, users: list[tuple[User, int]]) -> None:
    """A model's last day is near: the admins, and each who used it of late, with how often."""
    key = f"model_ends:{model.id}:{model.sold_until:%Y-%m-%d}"
    successor = AIModel.named(model.successor) if model.successor else None
    context = {
        "model": model.title,
        "ends": date_text(model.sold_until),
        "then": successor.title if successor else "",
    }
    for user, calls in users:
        mailer.post(
            f"{key}:{user.id}",
            user.email,
            "model_ends",
            **context,
            calls=calls,
            page_url=mailer.link("chat.show"),
        )
    admin_url = mailer.link("model.edit_view", id=model.id)
    admins(f"{key}:admin", "model_ends_admin", **context, users=len(users), admin_url=admin_url)
