"""What the sandbox remembers: objects by kind and id, kept in a JSON file where one is named.

A field whose name begins with an underscore is the sandbox's own note (how a card behaves, which session an intent
belongs to): it is kept with its object and never shown.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from sandbox.errors import no_such

Thing = dict[str, Any]
LOG_ENTRIES = 2000
LOGS = ("event", "delivery", "idempotency_key")


class Store:
    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.objects: dict[str, dict[str, Thing]] = {}
        self.added: list[tuple[str, str]] = []
        self.clock_offset = 0
        self.account_id = f"acct_{secrets.token_hex(8)}"
        if path and path.exists():
            kept = json.loads(path.read_text())
            self.objects, self.clock_offset = kept["objects"], kept["clock_offset"]
            self.account_id = kept.get("account_id", "acct_sandbox")
            for kind in LOGS:
                self.forget_oldest(kind)

    def forget_oldest(self, kind: str) -> None:
        """A log is not carried on for ever."""
        entries = list(self.objects.get(kind, {}).items())
        self.objects[kind] = dict(entries[-LOG_ENTRIES:])

    def add(self, kind: str, thing: Thing) -> Thing:
        self.objects.setdefault(kind, {})[thing["id"]] = thing
        self.added.append((kind, thing["id"]))
        return thing

    def find(self, kind: str, identity: str | None) -> Thing | None:
        return self.objects.get(kind, {}).get(identity or "")

    def get(self, kind: str, identity: str | None, param: str = "id") -> Thing:
        """404 `resource_missing` where there is none, as for a deleted one."""
        thing = self.find(kind, identity)
        if thing is None:
            raise no_such(kind, str(identity), param)
        return thing

    def all(self, kind: str) -> list[Thing]:
        """Newest first, as Stripe lists them."""
        return list(reversed(self.objects.get(kind, {}).values()))

    def where(self, kind: str, **wanted: Any) -> list[Thing]:
        return [thing for thing in self.all(kind) if all(thing.get(k) == v for k, v in wanted.items())]

    def remove(self, kind: str, identity: str) -> None:
        self.objects.get(kind, {}).pop(identity, None)

    def belonging_to(self, customer: str) -> list[Thing]:
        """Whatever a change of this customer's may touch."""
        kinds = [things for kind, things in self.objects.items() if kind not in LOGS]
        matches = [one for things in kinds for one in things.values() if customer in (one["id"], one.get("customer"))]
        invoices = {one["id"] for one in matches if one["object"] == "invoice"}
        payments = self.objects.get("invoice_payment", {}).values()
        return matches + [payment for payment in payments if payment["invoice"] in invoices]

    def save(self) -> None:
        if self.path is None:
            return
        draft = self.path.with_suffix(".part")
        kept = {"account_id": self.account_id, "clock_offset": self.clock_offset, "objects": self.objects}
        draft.write_text(json.dumps(kept))
        os.replace(draft, self.path)
