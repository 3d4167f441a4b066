"""Settings: what an admin may change, with its type, bounds and default; read from the database at each use."""

import os
from dataclasses import dataclass
from typing import Any, cast

from flask import current_app, g
from sqlalchemy import Table, select
from sqlalchemy.orm import Mapped, mapped_column

from app.db.compiled_statement import CompiledStatement
from app.db.json_aggregates import JsonObject
from app.extensions import db
from app.models.base import INSERTS, NANOS_PER_CREDIT, ModelBase, at_once
from app.models.catalog.anthropic_betas import ANTHROPIC_BETAS
from app.models.catalog.currency import CURRENCIES


@dataclass(frozen=True)
class Definition:
    """One setting: `kind` is credits (stored as nanos), money (cents), dollars (nanos), count,
    basis_points, flag, choice, email or text.

    `lowest` and `highest` bound a number, or the length of a text.
    """

    key: str
    kind: str
    default: Any
    help: str
    lowest: int = 0
    highest: int = 10**15
    choices: tuple[str, ...] = ()
    group: str = "Other"

    @property
    def title(self) -> str:
        return TITLES.get(self.key) or self.key.replace("_", " ").capitalize()

    @property
    def variable(self) -> str | None:
        """The variable of the environment that stands above the row, where it is set."""
        name = self.key.upper()
        return name if self.key in ABOVE_THE_ADMIN and os.environ.get(name) else None

    def parse(self, text: str) -> Any:
        """The value of a stored text; ValueError names what is wrong."""
        value: Any = text
        if self.kind in {"text", "email"}:
            fits, rule = self._takes(len(text)), f"{self.lowest} to {self.highest} characters long"
        elif self.kind == "choice":
            fits, rule = text in self.choices, f"one of: {', '.join(self.choices)}"
        elif self.kind == "flag":
            value, fits, rule = text == "1", text in {"0", "1"}, "0 or 1"
        else:
            value = int(text)
            fits, rule = self._takes(value), f"between {self.lowest} and {self.highest}"
        if not fits:
            raise ValueError(f"{self.title} must be {rule}.")
        return value

    def _takes(self, size: int) -> bool:
        return self.lowest <= size <= self.highest


CREDIT = NANOS_PER_CREDIT
TITLES = {
    "is_paused": "Paused", "signups_per_day": "Sign-ups a day", "require_verified_email": "Require confirmed emails",
    "registration": "Sign-up", "margin_floor": "Lowest margin", "currency_rate": "Exchange rate",
    "automatic_tax": "Stripe Tax", "tax_behavior": "Tax in prices", "any_amount_lowest": "Smallest amount",
    "any_amount_highest": "Largest amount", "absorbed_daily": "Absorbed cost a day", "founder_digest": "Weekly summary",
    "breaker_floor": "Spending guard: never below", "breaker_floor_percent": "Spending guard: or below, in percent",
    "payment_fee": "Stripe's percentage fee", "payment_fee_cents": "Stripe's fixed fee",
    "support_grant_daily": "Support's credits a day", "max_output_tokens": "Maximum answer length",
    "parallel_calls": "Simultaneous answers", "max_message_bytes": "Longest message",
    "anthropic_betas": "Anthropic betas", "guests_allowed": "Allow guests", "guest_messages": "Guest messages a day",
    "guests_daily": "All guests' cost a day", "attachment_megabytes": "Space for files",
    "deleted_chat_days": "Keep deleted chats", "temporary_chat_days": "Keep temporary chats",
    "ratelimit_enabled": "Rate limits",
}  # fmt: skip
"""Where the key alone is not a title."""

ABOVE_THE_ADMIN = {"require_verified_email", "ratelimit_enabled"}

DEFINITIONS = {
    definition.key: definition
    for definition in (
        Definition(
            "brand_name", "text", "Tollgate", "The name at the top of every page and in every email.", 1, 60,
            group="Brand and sign-up",
        ),
        Definition(
            "is_paused", "flag", False,
            "No emails, no webhooks and no requests to Stripe. On after a restore, until you run flask resume.",
            group="Brand and sign-up",
        ),
        Definition(
            "support_email", "email", "",
            "Gets customers' questions and replies. Leave empty to list them only under Support requests.", 0, 254,
            group="Brand and sign-up",
        ),
        Definition(
            "registration", "choice", "open", "Who can sign up: everyone, invited people, or nobody.",
            choices=("open", "invite", "closed"), group="Brand and sign-up",
        ),
        Definition(
            "require_verified_email", "flag", None,
            "Messages and free credits wait until the email is confirmed.", group="Brand and sign-up",
        ),
        Definition("signups_per_day", "count", 1000, "In total.", 0, 10**9, group="Brand and sign-up"),
        Definition(
            "welcome_credit", "credits", 0, "Given once to each new confirmed email.", group="Brand and sign-up"
        ),
        Definition(
            "default_margin", "basis_points", 5000, "The margin a new plan or pack form starts with.", 0, 9999,
            group="Money",
        ),
        Definition(
            "margin_floor", "basis_points", 0,
            "No promotional code or sale price sells below this real margin. 0: never below cost.", 0, 9999,
            group="Money",
        ),
        Definition(
            "currency", "choice", "usd",
            "One for everything you sell, chosen before the first sale. Prices not sold yet are converted.",
            choices=CURRENCIES, group="Money",
        ),
        Definition(
            "currency_rate", "dollars", 10**9,
            "What one unit of the currency is worth in US dollars, in which models charge: such as 1.08 for a euro. "
            "Applies to new sales.", 1, 10**12, group="Money",
        ),
        Definition(
            "automatic_tax", "flag", False, "Stripe Tax computes and collects tax. Set it up at Stripe first.",
            group="Money",
        ),
        Definition(
            "tax_behavior", "choice", "exclusive",
            "Whether tax comes on top of prices (exclusive) or is in them (inclusive). Tax buys no credits.",
            choices=("exclusive", "inclusive"), group="Money",
        ),
        Definition("any_amount_lowest", "money", 500, "For packs of any amount.", 1, 10**9, group="Money"),
        Definition("any_amount_highest", "money", 50_000, "The highest.", 1, 10**11, group="Money"),
        Definition(
            "overdraft", "credits", 50 * CREDIT, "How far below zero a call may take a balance.", group="Money",
        ),
        Definition(
            "absorbed_daily", "credits", 50 * CREDIT,
            "Cost you absorb for an account in a day before it must wait until tomorrow.", group="Money",
        ),
        Definition(
            "founder_digest", "flag", True,
            "Email owners of the admin each Monday: revenue, cost, new and lost customers, alarms.", group="Money",
        ),
        Definition(
            "breaker_floor", "credits", 200 * CREDIT,
            "Spending below this in an hour or a day is never unusual, whatever an account used before.", group="Money",
        ),
        Definition(
            "breaker_floor_percent", "count", 10,
            "Spending below this percentage of all credits an account ever got is never unusual either.", 0, 100,
            group="Money",
        ),
        Definition(
            "payment_fee", "basis_points", 290,
            "What Stripe keeps of each payment, used by the overview and the lab.", 0, 9999, group="Money",
        ),
        Definition("payment_fee_cents", "money", 30, "Stripe's fixed fee for each payment.", 0, 10**9, group="Money"),
        Definition("low_balance", "credits", 10 * CREDIT, "Balances below this are highlighted.", group="Money"),
        Definition(
            "support_grant_daily", "credits", 5000 * CREDIT,
            "The credits one support person may move in a day (UTC), across all accounts.", group="Money",
        ),
        Definition(
            "max_output_tokens", "count", 4096, "In tokens, unless set otherwise.", 256, 10**6, group="Calls",
        ),
        Definition(
            "parallel_calls", "count", 5, "Simultaneous answers for plans without their own number.", 1, 1000,
            group="Calls",
        ),
        Definition(
            "prompt_caching", "flag", True,
            "Have Anthropic cache a chat that goes on within five minutes. What it has cached costs a tenth; caching "
            "costs a quarter more.", group="Calls",
        ),
        Definition("max_message_bytes", "count", 200_000, "In bytes.", 1000, 10**7, group="Calls"),
        Definition(
            "anthropic_betas", "text", ANTHROPIC_BETAS,
            "Names in the header anthropic-beta that pass through the gateway: those that change no price.", 0, 4000,
            group="Calls",
        ),
        Definition(
            "guests_allowed", "flag", None,
            "Let visitors try the chat without an account, on models marked free for guests.", group="Guests",
        ),
        Definition(
            "guest_messages", "count", 5, "Guest messages per network address and day.",
            1, 1000, group="Guests",
        ),
        Definition(
            "guests_daily", "credits", 1000 * CREDIT,
            "The most all guests together may cost you in a day (UTC).", highest=10**6 * CREDIT, group="Guests",
        ),
        Definition(
            "attachment_megabytes", "count", 200,
            "Space for files in an account's chats, in megabytes. Deleting a chat frees it.", 0, 10**6, group="Calls",
        ),
        Definition(
            "deleted_chat_days", "count", 0,
            "Days until a deleted chat is erased for good. 0 erases it right away.", 0, 90, group="Calls",
        ),
        Definition(
            "temporary_chat_days", "count", 1,
            "Days until a temporary chat is deleted, from its last message on.", 1, 90, group="Calls",
        ),
        Definition("ratelimit_enabled", "flag", None, "Per network address and account.", group="Calls"),
    )
}  # fmt: skip


class Setting(ModelBase):
    """A setting that an admin changed; without its row the default holds."""

    __tablename__ = "settings"
    EDITED = "edited"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]

    @classmethod
    def all(cls) -> dict[str, Any]:
        """Every setting by key: the environment's, else the row's, else the default."""
        stored = cls.stored()
        return {key: cls._value(definition, stored) for key, definition in DEFINITIONS.items()}

    @classmethod
    def get(cls, key: str) -> Any:
        return cls._value(DEFINITIONS[key], cls.stored())

    @classmethod
    def stored(cls) -> dict[str, str]:
        """The rows, by key. Read once a request."""
        stored = g.get("settings")
        if stored is None:
            with at_once() as connection:
                stored = dict(STORED.all(connection, {}))
            cls.remember(stored)
        return cast(dict[str, str], stored)

    @staticmethod
    def remember(stored: dict[str, str]) -> None:
        """Keep the rows, which came along with something else, for the rest of the request."""
        g.settings = stored

    @staticmethod
    def forget() -> None:
        """The rows were changed: whoever asks next reads them again."""
        g.pop("settings", None)

    @classmethod
    def put(cls, key: str, value: Any) -> "Setting":
        """Change a setting; ValueError where the value is out of its bounds."""
        text = str(int(value)) if isinstance(value, bool) else str(value)
        DEFINITIONS[key].parse(text)
        row = db.session.merge(cls(key=key, value=text))
        cls.forget()
        return row

    @classmethod
    def held(cls, key: str, text: str = "") -> str:
        """What a row of our own says, held until the transaction ends; made with that text where there is none."""
        row = INSERTS[db.engine.dialect.name](SETTINGS).values(key=key, value=text).returning(SETTINGS.c.value)
        return str(db.session.scalar(row.on_conflict_do_update(index_elements=["key"], set_={"key": key})))

    @classmethod
    def hold(cls) -> None:
        """Whoever edits the settings waits here for others who do, then reads what they have saved."""
        cls.held(cls.EDITED)
        cls.forget()

    @staticmethod
    def _value(definition: Definition, stored: dict[str, str]) -> Any:
        if definition.variable:
            return definition.parse(os.environ[definition.variable])
        if definition.key in stored:
            return definition.parse(stored[definition.key])
        if definition.default is None:
            return definition.key in current_app.config["ON_BY_DEFAULT"]
        return definition.default


SETTINGS: Table = Setting.__table__  # type: ignore[assignment]
STORED = CompiledStatement(select(SETTINGS.c.key, SETTINGS.c.value))
STORED_TOGETHER = select(JsonObject(SETTINGS.c.key, SETTINGS.c.value)).scalar_subquery()
"""All rows as one value, for a statement that is sent anyway."""
