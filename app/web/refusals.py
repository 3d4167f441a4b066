"""What a refusal says: for each code of billing-rules.md 6 its status and its sentence, of context and details.

A sentence is a template that names them, or a function that takes them by keyword. Amounts are nanos
and times are moments until here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from app.models.base import credits_figure, credits_text
from app.models.billing.allowance_refill import NextRefill
from app.models.metering.refusal import Refusal
from app.web.formatting import counted, day_and_month, reader_date

Sentence = str | Callable[..., str]


class Answer(NamedTuple):
    """The status of a code, and its words."""

    status: int
    sentence: Sentence


def text_of(refusal: Refusal) -> str:
    """The sentence for people who have an account."""
    known, sentence = refusal.details | refusal.context, REFUSALS[refusal.code].sentence
    return sentence.format_map(known) if isinstance(sentence, str) else sentence(**known)


def text_for_members(refusal: Refusal) -> str:
    """With who can help, where the way out is not the member's to take; the account's page shows who that is."""
    return joined(text_of(refusal), HELP if refusal.details.get("way_out") in FOR_MANAGERS else "")


def text_for_guests(code: str) -> str:
    """Without figures: those of the guest account are nobody's business."""
    return f"{FOR_GUESTS.get(code, CLOSED)} {SIGN_UP}"


def account_frozen(*, frozen_by: str | None, **_: Any) -> str:
    return FROZEN[frozen_by]


def model_not_for_sale(
    *,
    name: str = "",
    sold_until: datetime | None = None,
    model: str | None = None,
    makes_images: bool = False,
    **_: Any,
) -> str:
    """`model` is what to ask instead, where that is on sale."""
    if makes_images:
        return f"{name} makes images only. Choose another model."
    if not name:
        return "No models are available yet. An admin can turn one on."
    if sold_until is None:
        return f"{name} isn't available right now. Choose another model."
    instead = f"Ask {model} instead." if model else "Choose another model."
    return f"{name} hasn't been available since {reader_date(sold_until)}. {instead}"


def model_not_allowed(*, name: str, included: list[str], plan: str | None = None, **_: Any) -> str:
    """Of a plan, or of a key with models of its own. Without a name: none of the plan's is on sale."""
    if plan is None:
        return f"This key may ask {', '.join(included)}, but not {name}."
    if not name:
        return f"None of the models in {plan} can answer right now. Change your plan to use another one."
    return f"{plan} doesn't include this model. It includes {', '.join(included)}."


def images_not_taken(*, title: str, model_title: str | None = None, **_: Any) -> str:
    such_as = f", such as {model_title}" if model_title else ""
    return f"{title} can't read images. Remove them, or switch to a model that can{such_as}."


def field_not_priced(*, name: str, why: str, **_: Any) -> str:
    return NOT_PRICED[why].format(name=name)


def too_many_calls(*, most: int, **_: Any) -> str:
    return f"You can run {counted(most, 'answer')} at a time. Wait for one to finish, or stop one."


def chat_limit_reached(*, plan: str, counts: Mapping[str, int], **_: Any) -> str:
    chats = counted(counts["limit"], "new chat")
    used = f"{plan} includes {chats} a month, and you've used them all."
    return f"{used if counts['limit'] else none_of(plan, 'new chats')} You can continue your existing chats."


def document_limit_reached(*, plan: str, counts: Mapping[str, int], **_: Any) -> str:
    if not counts["limit"]:
        return f"{none_of(plan, 'documents')} Choose a plan that does. Nothing is lost."
    room = f"{plan} has room for {counted(counts['limit'], 'document')}, and this account has {counts['used']}."
    too_many = counts["used"] - counts["limit"] + 1
    return f"{room} Delete {'one' if too_many == 1 else too_many}, or choose a plan with more. Nothing is lost."


def image_limit_reached(*, plan: str, counts: Mapping[str, int], **_: Any) -> str:
    if not counts["limit"]:
        return none_of(plan, "images")
    left = f"{counts['remaining']} are left" if counts["remaining"] else "you've used them all"
    return f"{plan} includes {counted(counts['limit'], 'image')} a month, and {left}."


def none_of(plan: str, what: str) -> str:
    return f"{plan} doesn't include {what}."


def member_limit_reached(*, used: int, limit: int, needed: int | None = None, **_: Any) -> str:
    so_far = f"You've used or reserved {credits_figure(used)} of your {credits_text(limit)} a month in this team."
    return joined(so_far, could_cost(needed), "An owner or admin of the team can raise your limit.")


def chat_budget_reached(*, used: int, limit: int, needed: int | None = None, **_: Any) -> str:
    so_far = f"This chat has used or reserved {credits_figure(used)} of its budget of {credits_text(limit)}."
    return joined(so_far, could_cost(needed), "Raise the budget to continue.")


def own_limit_reached(*, used: int, limit: int, limit_kind: str, needed: int | None = None, **_: Any) -> str:
    so_far = f"You've used or reserved {credits_figure(used)} of the {credits_text(limit)}"
    return joined(f"{so_far} a {limit_kind} you set yourself.", could_cost(needed), "Raise your limit to continue.")


def could_cost(needed: int | None) -> str:
    return "" if needed is None else f"This message could cost up to {credits_text(needed)}."


def key_limit_reached(*, used: int, limit: int, limit_kind: str, needed: int | None = None, **_: Any) -> str:
    every = "a month" if limit_kind == "month" else "in all"
    so_far = f"This key has used or reserved {credits_figure(used)} of its {credits_text(limit)} {every}."
    return joined(so_far, could_cost(needed), "Its owner can raise the limit in the settings of the account.")


def spending_paused(*, is_key: bool, **_: Any) -> str:
    paused = PAUSED_KEY if is_key else PAUSED_ACCOUNT
    return f"{paused} An owner or admin can look at it and resume."


def limit_of_time_reached(*, plan: str, credits: int, hours: int | None, way_out: str, **_: Any) -> str:
    """Of a day, or of a window of some hours."""
    sooner = "Buy credits" if way_out == "buy" else "Change your plan"
    whose = "today's" if hours is None else f"these {counted(hours, 'hour')}'"
    so_far = f"You've used {whose} {credits_text(credits)} of {plan}."
    return f"{so_far} {sooner} to continue now, or wait until your limit resets."


def subscription_unpaid(*, changes_plan: bool, **_: Any) -> str:
    if changes_plan:
        return "Your last invoice is unpaid. Pay it first, then change your plan."
    return "You're out of credits, and your last invoice is unpaid. Pay it and your plan's credits come back."


def out_of_credits(*, comes: NextRefill | None, way_out: str, **_: Any) -> str:
    """What comes next, and what helps sooner."""
    sooner = "Buy credits or change your plan" if way_out == "buy" else "Change your plan"
    return joined("You're out of credits.", refill_text(comes), f"{sooner} to continue.")


def refill_text(comes: NextRefill | None) -> str:
    """Your next 500 credits arrive on 28 December. Nothing where nothing comes by itself."""
    if comes is None or comes.at is None:
        return ""
    when = "when your plan renews on" if comes.needs_payment else "on"
    return f"Your next {credits_text(comes.amount)} arrive {when} {day_and_month(comes.at)}."


def request_too_large(
    *,
    needed: int,
    way_out: str,
    can_shorten: bool = True,
    is_held_back: bool = False,
    model_title: str = "",
    model_ceiling: int = 0,
    **_: Any,
) -> str:
    """A message may be shortened, and another model may be cheaper; an amount that was asked for is what it is.

    `is_held_back`: there is enough, but not within the plan's limit of the day or of some hours.
    """
    more = "buy credits" if way_out == "buy" else "change your plan"
    less = "your plan's limit leaves right now" if is_held_back else "your balance covers"
    could = f"could cost up to {credits_text(needed)}, more than {less}."
    if not can_shorten:
        return f"This {could} {more.capitalize()}."
    cheaper = f"Try {model_title}, up to {credits_text(model_ceiling)}, or shorten" if model_title else "Shorten"
    return f"This message {could} {cheaper} it, or {more}."


def joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


FOR_MANAGERS = {"buy", "upgrade", "billing"}
"""The ways out that cost money."""

HELP = "To pay, ask an owner or admin of the account."
CHOOSE = "Choose another plan to continue. Your chats are safe."
FROZEN = {
    None: "This account is closed.",
    "admin": "This account is on hold. Contact support to find out why.",
    "dispute": "This account is on hold because a payment is disputed with your bank. Nothing is lost.",
}
"""By who froze it."""

PAUSED_ACCOUNT = "This account has spent far more than it usually does, so new spending is paused. Nothing is lost."
PAUSED_KEY = "This key has spent far more than the account usually does, so it is paused; the rest keeps working."
COSTS_MORE = "can change the price of a call, and has no price here."
NOT_PRICED = {
    "field": f"`{{name}}` has a value that {COSTS_MORE} Leave it out.",
    "value": f"`{{name}}` has a value that {COSTS_MORE} Use its default.",
    "tool": "`{name}` has a tool that the provider runs and charges for, which has no price here. Leave it out.",
    "beta": f"The beta {{name}} {COSTS_MORE} Leave it out.",
}
REFUSALS = {
    "account_frozen": Answer(403, account_frozen),
    "email_unverified": Answer(
        403, "Confirm your email to continue. Use the link we sent you, or request a new one in Settings."
    ),
    "plan_inactive": Answer(403, f"{{plan}} is no longer offered. {CHOOSE}"),
    "api_not_in_plan": Answer(403, f"{{plan}} doesn't include API access. {CHOOSE}"),
    "model_not_found": Answer(404, "There's no model called {name!r}. Choose one from the list."),
    "model_not_for_sale": Answer(400, model_not_for_sale),
    "images_not_taken": Answer(400, images_not_taken),
    "files_full": Answer(403, "There's no room for more files in this account. Delete chats or documents with files."),
    "field_not_priced": Answer(400, field_not_priced),
    "model_not_allowed": Answer(403, model_not_allowed),
    "operation_disabled": Answer(403, "{operation} isn't available right now."),
    "operation_not_in_plan": Answer(403, "{operation} is included in {plan} and higher plans."),
    "packs_not_allowed": Answer(403, "{plan} doesn't allow extra credits. Choose a plan that allows credit packs."),
    "too_many_calls": Answer(429, too_many_calls),
    "chat_limit_reached": Answer(429, chat_limit_reached),
    "document_limit_reached": Answer(429, document_limit_reached),
    "image_limit_reached": Answer(429, image_limit_reached),
    "member_limit_reached": Answer(429, member_limit_reached),
    "key_limit_reached": Answer(429, key_limit_reached),
    "chat_budget_reached": Answer(429, chat_budget_reached),
    "own_limit_reached": Answer(429, own_limit_reached),
    "absorbed_limit": Answer(
        429, "Too many of this account's requests failed today. Try again tomorrow, or ask support to lift this sooner."
    ),
    "recharge_in_progress": Answer(503, "Auto-recharge is charging your card right now. Try again in a few seconds."),
    "credits_reserved": Answer(
        429, "Your remaining credits are reserved by answers in progress. Try again when they finish."
    ),
    "spending_paused": Answer(429, spending_paused),
    "daily_limit_reached": Answer(429, limit_of_time_reached),
    "window_limit_reached": Answer(429, limit_of_time_reached),
    "subscription_unpaid": Answer(402, subscription_unpaid),
    "out_of_credits": Answer(402, out_of_credits),
    "request_too_large": Answer(402, request_too_large),
    "guest_limit_reached": Answer(429, "You've used your free messages for today."),
}
"""A code that is not here is none: `Refusal` may name these alone, which a test holds."""

SIGN_UP = "Sign up for free to keep this chat."
CLOSED = "Trying without an account isn't available right now."
FOR_GUESTS = {
    "guest_limit_reached": "You've used your free messages for today.",
    "daily_limit_reached": "Today's free messages are used up.",
    "credits_reserved": "Other visitors' answers are using what's left for today. Wait a few seconds.",
    "too_many_calls": "Lots of people are trying this right now. Wait a few seconds.",
    "request_too_large": "That message is too long for what's left today. Shorten it.",
    "model_not_allowed": "You need an account for that model.",
}
