"""One sandbox: its objects, its clock, the events it has made, and the lock that makes each change whole."""

import copy
import threading
import time
from pathlib import Path
from typing import Any

from sandbox.faults import Faults
from sandbox.render import public
from sandbox.shapes import blank, new_id
from sandbox.store import Store, Thing

API_VERSION = "2026-10-28.endive"


Checkpoint = tuple[list[tuple[Thing, Thing]], int, int]


class Sandbox:
    def __init__(self, base_url: str = "", state: Path | None = None, *, live: bool = False) -> None:
        self.base_url = base_url
        self.live = live
        self.store = Store(state)
        self.faults = Faults()
        self.lock = threading.RLock()
        self.request: Thing = {"id": None, "idempotency_key": None}
        self.fresh_events: list[Thing] = []
        self.after_dunning = "cancel"
        self.tax_percent = 20
        self._instant: int | None = None

    @property
    def now(self) -> int:
        """The sandbox's clock; while time is being moved, the instant that is being played."""
        if self._instant is not None:
            return self._instant
        return int(time.time()) + self.store.clock_offset

    def set_clock(self, to: int) -> None:
        self.store.clock_offset = to - int(time.time())

    def at(self, instant: int | None) -> None:
        self._instant = instant

    def make(self, kind: str, **fields: Any) -> Thing:
        thing = blank(kind)
        thing["id"] = new_id(kind)
        if "created" in thing:
            thing["created"] = self.now
        if "livemode" in thing:
            thing["livemode"] = self.live
        thing.update(fields)
        return self.store.add(kind, thing)

    def emit(self, kind: str, thing: Thing, previous: Thing | None = None) -> None:
        """Keeps an event with the object as it is now; it is sent when the request is over."""
        content: Thing = {"object": public(thing)}
        if previous:
            content["previous_attributes"] = previous
        event = self.make("event", type=kind, data=content, request=dict(self.request))
        self.fresh_events.append(event)

    def change(self, thing: Thing, event: str | None = None, **fields: Any) -> Thing:
        """Sets fields and, where an event is named and something differs, tells of it with the old values."""
        previous = {name: thing.get(name) for name, value in fields.items() if thing.get(name) != value}
        thing.update(fields)
        if event and previous:
            shown = {name: value for name, value in previous.items() if not name.startswith("_")}
            self.emit(event, thing, shown)
        return thing

    def get(self, kind: str, identity: str | None, param: str = "id") -> Thing:
        return self.store.get(kind, identity, param)

    def checkpoint(self, customer: str) -> Checkpoint:
        """Before a change that may have to be taken back whole."""
        touched = [(thing, copy.deepcopy(thing)) for thing in self.store.belonging_to(customer)]
        return touched, len(self.store.added), len(self.fresh_events)

    def undo(self, checkpoint: Checkpoint) -> None:
        """Takes back what was changed, made and told since."""
        touched, added, told = checkpoint
        for thing, before in touched:
            thing.clear()
            thing.update(before)
        for kind, identity in self.store.added[added:]:
            self.store.remove(kind, identity)
        del self.store.added[added:], self.fresh_events[told:]

    def take_events(self) -> list[Thing]:
        self.store.added.clear()
        fresh, self.fresh_events = self.fresh_events, []
        return fresh
