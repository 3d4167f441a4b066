"""A title for a chat, by the cheapest model, after its first answer: a call of its own, with its own receipt."""

from __future__ import annotations

import re

from flask import current_app
from sqlalchemy import update

from app.generation.generation import Turn
from app.generation.registry import sent_as
from app.extensions import db
from app.models.base import utcnow
from app.models.identity.actor import Caller
from app.models.chat.chat import Chat
from app.models.identity.membership import Membership
from app.models.metering.reservation import Reservation, reserve, with_idempotency_key
from app.models.catalog.price import AIModel, ModelPrice
from app.models.metering.refusal import Refusal
from app.models.catalog.setting import Setting
from app.models.metering.account_state import Standing
from app.providers.base import Prompt, PromptMessage
from app.providers.registry import open_provider

INSTRUCTION = (
    "Write a title of two to six words for this conversation, in its language. Answer with the title alone."
)
READ_CHARACTERS = 1_500
LONGEST = 80
TOKENS, TOKENS_WITH_REASONING = 40, 1_000
NO_MESSAGE = 0
AROUND = re.compile(r"^[\s#*_\"'`“”„«»]+|[\s*_\"'`“”«».]+$")


def write_title(chat_id: int) -> None:
    """Have the title written, once. Where it cannot be paid for, or the call fails, the first words stay."""
    chat = db.session.get(Chat, chat_id)
    caller = caller_of(chat) if chat and chat.wants_title and chat.deleted_at is None else None
    if chat is None or caller is None:
        return
    standing = Standing.held(caller.account_id)
    if not has_room(standing):
        db.session.rollback()
        return
    try:
        title = asked_for(chat, caller, standing.models)
    except Refusal:
        db.session.rollback()
        title = None
    wanted = Chat.id == chat_id, Chat.wants_title
    words = {"title": title} if title else {}
    db.session.execute(update(Chat).where(*wanted).values(wants_title=False, **words))
    db.session.commit()


def caller_of(chat: Chat) -> Caller | None:
    """Whose chat it is, as they would ask; None where they have left the account."""
    place = Membership.of(chat.user_id, chat.account_id)
    if place is None or place.user.disabled_at:
        return None
    user = place.user
    return Caller(chat.user_id, chat.account_id, place.role, user.email, user.name, user.is_verified)


def has_room(standing: Standing) -> bool:
    """Whether the person's next question has room beside this call; if not, it is tried after the next answer."""
    return standing.running_calls + 1 < (standing.parallel_calls or Setting.get("parallel_calls"))


def asked_for(chat: Chat, caller: Caller, allowed: list[str]) -> str | None:
    """The title, in one line; None where it was asked for before, or nothing came of it. Raises Refusal."""
    key = f"title:{chat.id}"
    offer = cheapest(chat, allowed)
    if offer is None or with_idempotency_key(caller.account_id, key):
        return None
    model, price, prompt = offer
    facts = {"chat_id": chat.id, "operation": "title", "idempotency_key": key}
    reservation = reserve(caller, prompt, price, **facts)
    return said(model, reservation)


def said(model: AIModel, reservation: Reservation) -> str | None:
    """Commit, ask, settle."""
    provider = model.provider
    service = open_provider(provider.kind, base_url=provider.address, api_key=provider.api_key)
    sent = sent_as(model, reservation.prompt)
    db.session.commit()
    turn = Turn(current_app._get_current_object(), reservation, NO_MESSAGE, NO_MESSAGE)  # type: ignore[attr-defined]
    turn.run(service, sent)
    is_paid = turn.ending is not None and turn.ending.status == "done"
    return plain(turn.text) if is_paid else None


def cheapest(chat: Chat, allowed: list[str]) -> tuple[AIModel, ModelPrice, Prompt] | None:
    """The model on sale and in the plan whose ceiling for this call is the lowest, and what it is asked."""
    messages = messages_of(chat)
    offers = [
        (model, price, Prompt(model.name, messages, output, is_reasoning=model.is_reasoning))
        for model, price in AIModel.for_sale(utcnow())
        for output in [TOKENS_WITH_REASONING if model.is_reasoning else TOKENS]
        if not allowed or model.name in allowed
    ]
    return min(offers, key=lambda offer: offer[1].ceiling_of(offer[2]), default=None)


def messages_of(chat: Chat) -> tuple[PromptMessage, ...]:
    """The beginning of the first question and of its answer."""
    question, answer = [*(message.content[:READ_CHARACTERS] for message in chat.messages()), "", ""][:2]
    talk = f"Question: {question}\n\nAnswer: {answer}"
    return PromptMessage("system", INSTRUCTION), PromptMessage("user", talk)


def plain(text: str) -> str:
    """One line without the marks that models put around a title."""
    line = next((line for line in map(str.strip, text.splitlines()) if line), "")
    return AROUND.sub("", line)[:LONGEST].strip()
