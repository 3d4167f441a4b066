"""Faults on request: what the next calls that fit, or the next webhooks, are to suffer."""

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

CALL_FAULTS = ("drop_after", "drop_before", "error_after", "error_before", "conflict", "rate_limit", "slow")
WEBHOOK_FAULTS = ("duplicate", "reorder", "hold", "drop")


@dataclass
class Fault:
    """Strikes `count` times, after letting `skip` fitting calls pass. `path` is a glob, `type` one of event types."""

    fault: str
    method: str = "*"
    path: str = "*"
    type: str = "*"
    count: int = 1
    skip: int = 0
    seconds: float = 0.0

    def strikes(self) -> bool:
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        return self.count >= 0


@dataclass
class Faults:
    calls: list[Fault] = field(default_factory=list)
    webhooks: list[Fault] = field(default_factory=list)

    def add(self, options: dict[str, Any]) -> None:
        """`{"fault": "drop_after", "path": "/v1/payment_intents", "count": 2}`; ValueError for an unknown one."""
        fault = Fault(**options)
        if fault.fault in CALL_FAULTS:
            self.calls.append(fault)
        elif fault.fault in WEBHOOK_FAULTS:
            self.webhooks.append(fault)
        else:
            raise ValueError(f"no such fault: {fault.fault}")

    def clear(self) -> None:
        self.calls.clear()
        self.webhooks.clear()

    def for_call(self, method: str, path: str) -> Fault | None:
        fitting = (one for one in self.calls if one.count > 0 and fnmatch(method, one.method))
        return next((one for one in fitting if fnmatch(path, one.path) and one.strikes()), None)

    def for_webhook(self, kind: str) -> Fault | None:
        fitting = (one for one in self.webhooks if one.count > 0 and fnmatch(kind, one.type))
        return next((one for one in fitting if one.strikes()), None)
