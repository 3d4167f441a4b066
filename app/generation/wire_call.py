"""A metered call in a vendor's own format: its events are kept for its reader. No text is stored."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from app.extensions import db
from app.generation import registry
from app.generation.call import check_plan_of
from app.generation.generation import Generation
from app.generation.provider_reader import NOBODY, Follower
from app.generation.upstream import provider_of
from app.models.catalog.ai_model import AIModel
from app.models.catalog.operation import Operation
from app.models.catalog.price import ModelPrice
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import Conflict
from app.models.metering.reservation import reserve_with
from app.models.metering.usage import Usage
from app.providers.base import Prompt, Provider, Reply, WirePrompt
from app.providers.text_cleaning import EventCleaner
from app.providers.usage import mapping

Event = dict[str, Any]
OPERATION = "gateway"


class WireGeneration(Generation):
    """A generation that keeps the vendor's events."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.events: list[Event] = []
        self.told = self.events
        self._is_told = False
        self._cleaner = EventCleaner()

    def _ask(self, provider: Provider, prompt: Prompt) -> Reply:
        reply = super()._ask(provider, prompt)
        reply.listener = self._take
        return reply

    def _take(self, event: Event) -> None:
        self._is_told = True
        event = self._cleaner.clean(event)
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
        if unseen := "".join(unseen_text(event)):
            super()._append(unseen)

    def _append(self, text: str) -> None:
        """What a provider without a format of its own says is a chunk of a chat completion."""
        if not self._is_told and text:
            with self.changed:
                self.events.append({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
                self.changed.notify_all()
        super()._append(text)

    def await_event(self, seconds: float) -> None:
        """Return once there is an event, or the call has ended, or that time has passed. A thread reads until then."""
        threading.Thread(target=self.await_more, args=(0,), daemon=True).start()
        with self.changed:
            self.changed.wait_for(lambda: self._has_more(0), timeout=seconds)

    def follow_events(self, follower: Follower = NOBODY) -> Iterator[list[Event]]:
        """The events as they come, those together that are there together, until the call is settled.

        An empty list now and then while there is nothing new.
        """
        seen = 0
        while True:
            has_ended = self.await_more(seen, follower)
            fresh = self.events[seen:]
            seen += len(fresh)
            if has_ended and not fresh:
                return
            yield fresh


def unseen_text(event: Event) -> Iterator[str]:
    """What a model wrote that is neither text nor thinking: the arguments of tools."""
    choices = event.get("choices")
    for holder in (event, *choices) if isinstance(choices, list) else (event,):
        if delta := mapping(mapping(holder).get("delta")):
            yield from arguments_in(delta)


def arguments_in(delta: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(delta.get("partial_json"), str):
        yield delta["partial_json"]
    calls = delta.get("tool_calls")
    within = [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    asked = (call.get(kind) for call in within for kind in ("function", "custom"))
    for tool in (delta.get("function_call"), *asked):
        if isinstance(tool, Mapping):
            yield from (tool[name] for name in ("arguments", "input") if isinstance(tool.get(name), str))


def begin(
    actor: Actor, prompt: WirePrompt, offer: tuple[AIModel, ModelPrice], keys: Mapping[str, Any]
) -> WireGeneration:
    """Reserve, commit, begin. `keys` are those of an idempotent request."""
    registry.live.take_place()
    check_plan_of(actor, Operation.named(OPERATION))
    model, price = offer
    service = provider_of(model)
    check_once(actor, keys.get("idempotency_key"))
    columns = {"operation": OPERATION, "is_via_gateway": model.provider.is_gateway, **keys}
    reservation, _ids = reserve_with(None, actor, prompt, price, is_alone=True, **columns)
    db.session.commit()
    generation = registry.begin(reservation, model, service, made=WireGeneration)
    assert isinstance(generation, WireGeneration)
    return generation


def check_once(actor: Actor, idempotency_key: str | None) -> None:
    """An answer is stored nowhere, so it cannot be sent again: a repeated key is a Conflict, and never pays twice.

    A call that cost nothing gives its key free.
    """
    if idempotency_key is None:
        return
    AccountState.lock(actor.account_id)
    usage = Usage.with_idempotency_key(actor.account_id, idempotency_key)
    if usage is not None and usage.state == "released":
        usage.idempotency_key = None
        db.session.flush()
    elif usage is not None:
        raise Conflict("idempotency_key_reused", case="not_stored", call_id=str(usage.id))
