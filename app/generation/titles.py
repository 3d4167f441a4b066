"""A title for a chat, by the cheapest model, after its first answer: a call of its own, with its own receipt."""

import re
from collections.abc import Callable

from sqlalchemy import select, update

from app.extensions import db
from app.generation.call import CallOptions, Context, Offer, collect, start
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.operation import Operation
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from app.models.identity.actor import Actor
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from app.models.metering.account_state import AccountState
from app.models.metering.budget import ChatBudget
from app.models.metering.gate_decision import takes_model
from app.models.metering.key_limit import is_open_to
from app.models.metering.refusal import Refusal
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage, ProviderError
from app.providers.thinking import without_thinking

READ_CHARACTERS = 1_500
LONGEST = 80
TOKENS, TOKENS_WITH_REASONING = 40, 1_000
AROUND = re.compile(r"^[\s#*_\"'`“”„«»]+|[\s*_\"'`“”«».]+$")


def write_title(chat_id: int) -> None:
    """Have the title written, once. Where it cannot be paid for, or the call fails, the first words stay."""
    chat = db.session.get(Chat, chat_id)
    actor = caller_of(chat) if chat and chat.wants_title and chat.deleted_at is None else None
    if chat is None or actor is None:
        return
    account_state = AccountState.lock(actor.account_id)
    if account_state.running_calls + 1 >= (account_state.parallel_calls or Setting.get("parallel_calls")):
        db.session.rollback()
        return
    try:
        title = asked_for(chat, actor, account_state)
    except (Refusal, ProviderError):
        db.session.rollback()
        title = None
    wanted = Chat.id == chat_id, Chat.wants_title
    message = {"title": title} if title else {}
    db.session.execute(update(Chat).where(*wanted).values(wants_title=False, **message))
    db.session.commit()


def caller_of(chat: Chat) -> Actor | None:
    """Whose chat it is, as they would ask, by the key that began it; None where they or the key are gone."""
    membership = Membership.of(chat.user_id, chat.account_id)
    if membership is None or membership.user.disabled_at:
        return None
    first = select(Usage.api_key_id).where(Usage.chat_id == chat.id).order_by(Usage.id).limit(1)
    key_id = db.session.scalar(first)
    key = ApiKey.find_live(key_id) if key_id else None
    return None if key_id and key is None else Actor.of_member(membership, key)


def asked_for(chat: Chat, actor: Actor, account_state: AccountState) -> str | None:
    """The title, in one line; None where it was asked for before. Raises Refusal, or ProviderError where none came."""
    key = f"title:{chat.id}"
    offer = cheapest(chat, lambda name: takes_model(account_state, name) and is_open_to(actor.key_limits, name))
    if offer is None or Usage.with_idempotency_key(actor.account_id, key):
        return None
    model, price, prompt = offer
    options = CallOptions(idempotency_key=key)
    context = Context({"chat_id": chat.id}, budget=ChatBudget.of(chat))
    generation = start(actor, "title", prompt, (model, price), options=options, context=context)
    return plain(collect(generation))


def cheapest(chat: Chat, may_ask: Callable[[str], bool]) -> tuple[*Offer, Prompt] | None:
    """The model on sale that may be asked whose ceiling for this call is the lowest, and what it is asked."""
    messages = messages_of(chat)
    offers = [
        (model, price, Prompt(model.name, messages, output, is_reasoning=model.is_reasoning))
        for model, price in AIModel.for_sale(utcnow())
        for output in [TOKENS_WITH_REASONING if model.is_reasoning else TOKENS]
        if may_ask(model.name)
    ]
    return min(offers, key=lambda offer: offer[1].ceiling_of(offer[2]), default=None)


def messages_of(chat: Chat) -> tuple[PromptMessage, ...]:
    """The beginning of the first question and of its answer."""
    said = [without_thinking(message.content)[:READ_CHARACTERS] for message in chat.messages()]
    question, answer = [*said, "", ""][:2]
    talk = f"Question: {question}\n\nAnswer: {answer}"
    told = Operation.named("title").instructions_for()
    return PromptMessage("system", told), PromptMessage("user", talk)


def plain(text: str) -> str:
    """One line without the marks that models put around a title."""
    line = next((line for line in map(str.strip, without_thinking(text).splitlines()) if line), "")
    return AROUND.sub("", line)[:LONGEST].strip()
