"""A metered call to a model, from any route or job: gate, reserve, commit, then stream or collect; it settles itself.

`docs/extending.md` shows it in ten lines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from flask import has_request_context

from app.generation import registry
from app.generation.generation import Generation
from app.generation.text_checkpoint import KeptText
from app.generation.upstream import provider_of
from app.jobs import JobName
from app.models.base import commit_if_begun, utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImageOffer
from app.models.catalog.operation import Operation
from app.models.catalog.price import ModelPrice
from app.models.catalog.setting import Setting
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.budget import ChatBudget
from app.models.metering.call_statements import ExtraRows
from app.models.metering.gate_checks import check_operation, first_model
from app.models.metering.key_limit import is_open_to, models_open_to
from app.models.metering.refusal import Conflict, InvalidRequest
from app.models.metering.reservation import Reservation, reserve_with
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage, ProviderError

Offer = tuple[AIModel, ModelPrice]
AnyOffer = tuple[AIModel, ModelPrice | ImageOffer]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What is asked of a call. Without a model the operation's own answers.

    `max_cost_nanos` is the ceiling that the user was shown; None: none was. `files` are ids of attachments that wait
    to be sent with a question.
    """

    model: str = ""
    max_output_tokens: int | None = None
    max_cost_nanos: int | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    files: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a call belongs to. Without arguments: nothing, and its text is kept nowhere.

    `columns` go onto the usage row. `store` is called once the call is reserved, in the same transaction: it writes
    the call's rows and says where the text is kept. `rows` do the same within the statement that reserves.
    `follow_up` is a job, by name and id, for when it is done. `budget` is the chat's,
    `made` the kind of generation that reads the provider.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    store: Callable[[Reservation], KeptText | None] | None = None
    rows: "StoredRows | None" = None
    follow_up: tuple[JobName, int] | None = None
    budget: ChatBudget | None = None
    made: Callable[..., Generation] = Generation


class StoredRows(ExtraRows, Protocol):
    """Rows that begin with a call, one of which keeps its text."""

    def kept(self, ids: Sequence[int]) -> KeptText:
        """Where the text is kept; `ids` are those of the rows."""


NO_CONTEXT = Context()


def begin(
    actor: Actor,
    operation: str,
    content: str | Sequence[PromptMessage],
    options: CallOptions | None = None,
    *,
    context: Context = NO_CONTEXT,
    **fields: str,
) -> Generation:
    """Ask a model for what the operation is for. Commits. Raises Refusal, InvalidRequest or Conflict, at no charge.

    `content` is what the user says, or whole messages; `fields` fill the operation's instructions.
    """
    chosen, asked = Operation.named(operation), options or CallOptions()
    if usage := earlier(actor, asked):
        raise Conflict("already_done", call_id=str(usage.id))
    model, price = offer_for(actor, chosen, asked)
    prompt = prompt_for(chosen, content, model, asked, fields)
    return start(actor, operation, prompt, (model, price), options=asked, context=context)


def start(
    actor: Actor,
    operation: str,
    prompt: Prompt,
    offer: AnyOffer,
    *,
    options: CallOptions,
    context: Context = NO_CONTEXT,
) -> Generation:
    """The same with a prompt that is at hand: reserve, store, commit, begin."""
    if has_request_context():
        registry.live.take_place()
    check_plan_of(actor, Operation.named(operation))
    (model, price), service = offer, provider_of(offer[0])
    columns = {"operation": operation, "is_via_gateway": model.provider.is_gateway, **context.columns}
    keys = {"idempotency_key": options.idempotency_key, "request_hash": options.request_hash}
    reservation, ids = reserve_with(
        context.rows,
        actor,
        prompt,
        price,
        check=partial(check_ceiling, options),
        is_alone=context.store is None,
        budget=context.budget,
        **columns,
        **keys,
    )
    kept = kept_text(context, reservation, ids)
    commit_if_begun()
    return registry.begin(reservation, model, service, kept=kept, follow_up=context.follow_up, made=context.made)


def kept_text(context: Context, reservation: Reservation, ids: Sequence[int]) -> KeptText | None:
    """Where the text of a reserved call is kept, once its rows are written."""
    if context.rows:
        return context.rows.kept(ids)
    return context.store(reservation) if context.store else None


def collect(generation: Generation) -> str:
    """The whole text, once it is there; what it cost is `generation.ending.receipt`. ProviderError where it failed."""
    for _piece in generation.follow():
        pass
    ending = generation.ending
    if ending is None or ending.status in {"failed", "interrupted"}:
        raise ProviderError("unavailable", (ending and ending.detail) or "The answer was cut off.")
    return generation.text


def estimate(
    actor: Actor, operation: str, content: str | Sequence[PromptMessage], options: CallOptions, **fields: str
) -> tuple[Prompt, ModelPrice]:
    """The prompt that `begin` would send, and the price it would have. Reserves nothing."""
    chosen = Operation.named(operation)
    model, price = offer_for(actor, chosen, options)
    return prompt_for(chosen, content, model, options, fields), price


def earlier(actor: Actor, options: CallOptions) -> Usage | None:
    """The call that this idempotency key began before. Conflict where the request, or whose it was, differs.

    The account is held from here on: of two at once with one key, the second finds the call of the first.
    """
    if options.idempotency_key is None:
        return None
    AccountState.lock(actor.account_id)
    usage = Usage.with_idempotency_key(actor.account_id, options.idempotency_key)
    asked = actor.user_id, options.request_hash
    if usage is not None and (usage.user_id, usage.request_hash) != asked:
        raise Conflict("idempotency_key_reused")
    return usage


def offer_for(actor: Actor, operation: Operation, options: CallOptions) -> Offer:
    """The model that was asked for, or the operation's own, or the first on sale of plan and key, with its price."""
    now = utcnow()
    if name := options.model or own_model(operation, actor):
        return AIModel.to_sell(name, now)
    account_state = actor.account_state or AccountState.load(actor.account_id)
    return first_model(models_open_to(actor.key_limits, account_state.models), account_state.plan_name, now)


def own_model(operation: Operation, actor: Actor) -> str | None:
    """The operation's own, unless the caller's key may not ask it."""
    name = operation.default_model
    return name if name and is_open_to(actor.key_limits, name) else None


def prompt_for(
    operation: Operation,
    content: str | Sequence[PromptMessage],
    model: AIModel,
    options: CallOptions,
    fields: Mapping[str, str],
) -> Prompt:
    """What the operation has the model read. InvalidRequest where it is more than the model can."""
    told = operation.instructions_for(**fields)
    asked = [PromptMessage("user", content)] if isinstance(content, str) else content
    messages = (*([PromptMessage("system", told)] if told else []), *asked)
    most = min(most_output(operation, options), model.most_output)
    prompt = Prompt(model.name, messages, most, model.is_reasoning, model.extra_input_tokens or 0)
    likely = sum(message.likely_tokens for message in messages) + prompt.extra_input_tokens
    if likely > model.input_limit(most):
        message = "is longer than this model can read. Shorten it or choose another model."
        raise InvalidRequest({"content": [message]})
    return prompt


def most_output(operation: Operation, options: CallOptions) -> int:
    return int(options.max_output_tokens or operation.max_output_tokens or Setting.get("max_output_tokens"))


def check_plan_of(actor: Actor, operation: Operation) -> None:
    """Most operations are in every plan: then nothing is read."""
    if operation.minimum_plan_id is not None:
        check_operation(AccountState.load(actor.account_id), operation)


def check_ceiling(options: CallOptions, ceiling: int) -> None:
    if options.max_cost_nanos is not None and ceiling > options.max_cost_nanos:
        raise Conflict("price_changed", ceiling_nanos=ceiling)
