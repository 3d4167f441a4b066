"""Settings: what an admin may turn, with its type, bounds and default; read from the database at each use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from flask import current_app, g, has_app_context
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.base import NANOS_PER_CREDIT, Model


@dataclass(frozen=True)
class Definition:
    """One setting: `kind` is credits (stored as nanos), count, basis_points, flag, choice or text."""

    key: str
    kind: str
    default: Any
    help: str
    lowest: int = 0
    highest: int = 10**15
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> Any:
        """The value of a stored text; ValueError names what is wrong."""
        if self.kind == "text":
            return text
        if self.kind == "choice":
            return self._known_choice(text)
        if self.kind == "flag":
            return self._flag(text)
        return self._bounded(int(text))

    def _known_choice(self, text: str) -> str:
        if text not in self.choices:
            raise ValueError(f"{self.key} is one of: {', '.join(self.choices)}")
        return text

    def _flag(self, text: str) -> bool:
        if text not in {"0", "1"}:
            raise ValueError(f"{self.key} is 0 or 1")
        return text == "1"

    def _bounded(self, number: int) -> int:
        if not self.lowest <= number <= self.highest:
            raise ValueError(f"{self.key} is between {self.lowest} and {self.highest}")
        return number


CREDIT = NANOS_PER_CREDIT

DEFINITIONS = {
    definition.key: definition
    for definition in (
        Definition("brand_name", "text", "Tollgate", "The name at the top of every page and in every mail."),
        Definition(
            "registration", "choice", "open", "Who may sign up.", choices=("open", "invite", "closed")
        ),
        Definition(
            "require_verified_email", "flag", None, "Sends wait until the address is verified."
        ),
        Definition("ratelimit_enabled", "flag", None, "Limits per address and account on what can be abused."),
        Definition("welcome_credit", "credits", 0, "Given once to each new verified address, in nano-dollars."),
        Definition("overdraft", "credits", 50 * CREDIT, "How far below zero a running call may take a balance."),
        Definition("absorbed_daily", "credits", 50 * CREDIT, "Absorbed cost a day before an account must wait."),
        Definition("max_output_tokens", "count", 4096, "Output tokens where nobody asks for a number.", 256, 10**6),
        Definition("parallel_calls", "count", 5, "Calls at once for an account whose plan names none.", 1, 1000),
        Definition("default_margin", "basis_points", 5000, "Margin of new plans and packs.", 0, 9999),
        Definition("max_message_bytes", "count", 200_000, "Longest message that may be sent.", 1000, 10**7),
        Definition("low_balance", "credits", 50 * CREDIT, "Below this the balance is shown in colour."),
        Definition("signups_per_day", "count", 1000, "Sign-ups a day, all addresses together.", 0, 10**9),
    )
}


class Setting(Model):
    """A setting that an admin changed; without its row the default holds."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]

    @classmethod
    def all(cls) -> dict[str, Any]:
        """Every setting by key: the environment's, else the row's, else the default. Read once a request."""
        if has_app_context() and "settings" in g:
            return g.settings
        stored = {row.key: row.value for row in db.session.execute(select(cls.key, cls.value))}
        values = {key: cls._value(definition, stored) for key, definition in DEFINITIONS.items()}
        g.settings = values
        return values

    @classmethod
    def get(cls, key: str) -> Any:
        return cls.all()[key]

    @classmethod
    def put(cls, key: str, value: Any) -> None:
        """Change a setting; ValueError where the value is out of its bounds."""
        text = str(int(value)) if isinstance(value, bool) else str(value)
        DEFINITIONS[key].parse(text)
        db.session.merge(cls(key=key, value=text))
        g.pop("settings", None)

    @staticmethod
    def _value(definition: Definition, stored: dict[str, str]) -> Any:
        if definition.key in ABOVE_THE_ADMIN and os.environ.get(definition.key.upper()):
            return definition.parse(os.environ[definition.key.upper()])
        if definition.key in stored:
            return definition.parse(stored[definition.key])
        if definition.default is None:
            return bool(current_app.config["STRICT_DEFAULTS"])
        return definition.default


ABOVE_THE_ADMIN = {"require_verified_email", "ratelimit_enabled"}
