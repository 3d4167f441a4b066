"""Where personal data is kept, and what becomes of it when its person goes. security.md 29.

Every column of text, JSON or bytes is listed here or, where it is not personal, in the test that goes over all tables.
Erasure and the download of one's data both read the first list.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, String, Table, cast, delete, or_, select, update

from app.db.types import Base
from app.extensions import db


@dataclass(frozen=True)
class Person:
    """Whose data it is: the user, the accounts that are theirs alone, and the addresses that they had."""

    user_id: int
    account_ids: Sequence[int]
    addresses: Sequence[str]


@dataclass(frozen=True)
class PersonalData:
    """Personal columns of a table, found by `owner`: a column that holds a user's id, an account's or an address.

    `becomes` is what the columns hold afterwards; without it the rows go. `hidden` columns are secrets of ours
    that no download shows.
    """

    table: str
    owner: str
    columns: tuple[str, ...]
    becomes: dict[str, Any] | None = None
    hidden: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> Table:
        return Base.metadata.tables[self.table]

    def of(self, person: Person) -> ColumnElement[bool]:
        """The condition that a row is the person's."""
        values: Sequence[Any] = [person.user_id]
        column = self.rows.c[self.owner]
        if self.owner == "account_id" or (self.table, self.owner) == ("accounts", "id"):
            values = person.account_ids
        elif self.owner in {"email", "to"}:
            values = person.addresses
        elif self.owner in PARENTS:
            parents = Base.metadata.tables[PARENTS[self.owner]]
            return column.in_(select(parents.c.id).where(parents.c.user_id == person.user_id))
        return column.in_(values)

    def erase(self, person: Person) -> None:
        own = self.of(person)
        if self.becomes is None:
            db.session.execute(delete(self.rows).where(own))
        else:
            db.session.execute(update(self.rows).where(own).values(**self.becomes))

    def kept(self, person: Person) -> Iterator[dict[str, Any]]:
        """The person's rows, whole but for what is hidden."""
        shown = [column for column in self.rows.c if column.name not in self.hidden]
        query = select(*shown).where(self.of(person)).order_by(*self.rows.primary_key)
        for row in db.session.execute(query.execution_options(yield_per=100)).mappings():
            yield dict(row)


PARENTS = {"chat_id": "chats", "document_id": "documents"}
"""Owners whose rows know the person."""

NOBODY = "deleted@deleted.invalid"
SECRETS = ("secret_hash",)
PERSONAL = (
    PersonalData("users", "id",
                 ("email", "name", "password_hash", "admin_role", "totp_secret", "oidc_subject", "recovery_hashes",
                  "chat_instructions", "prompts"),
                 becomes={"name": "", "admin_role": None, "totp_secret": None, "totp_step": None, "oidc_subject": None,
                          "recovery_hashes": [], "chat_instructions": "", "prompts": []},
                 hidden=("password_hash", "totp_secret", "totp_step", "recovery_hashes")),
    PersonalData("user_sessions", "user_id", ("user_agent", *SECRETS), hidden=SECRETS),
    PersonalData("mailed_tokens", "user_id", ("email", *SECRETS), hidden=SECRETS),
    PersonalData("passkeys", "user_id", ("name", "credential_id", "public_key")),
    PersonalData("api_keys", "user_id", ("name",), becomes={"name": ""}, hidden=SECRETS),
    PersonalData("memberships", "user_id", (), becomes={}),
    PersonalData("limit_requests", "user_id", ("reason",), becomes={"reason": ""}),
    PersonalData("invitations", "email", ("email", *SECRETS), hidden=SECRETS),
    PersonalData("invitations", "account_id", ("email",), hidden=SECRETS),
    PersonalData("accounts", "id", ("name",), becomes={"name": ""}),
    PersonalData("brands", "account_id", ("name", "logo")),
    PersonalData("auto_recharges", "account_id", ("card_label",), becomes={"card_label": ""}),
    PersonalData("subscriptions", "account_id", ("card_label", "pay_url", "request_key", "cancel_reason"),
                 becomes={"card_label": "", "pay_url": None, "request_key": None, "cancel_reason": None},
                 hidden=("trial_card",)),
    PersonalData("payments", "account_id", ("page_url", "pdf_url", "method", "request_key"),
                 becomes={"page_url": None, "pdf_url": None, "method": "", "request_key": None}),
    PersonalData("ledger_entries", "account_id", (), becomes={}),
    PersonalData("webhook_endpoints", "account_id", ("url", "secret", "former_secret"),
                 becomes={"url": "", "secret": "", "former_secret": None}, hidden=("secret", "former_secret")),
    PersonalData("usages", "user_id", ("idempotency_key", "request_hash"),
                 becomes={"idempotency_key": None, "request_hash": None}),
    PersonalData("attachments", "user_id", ("name", "content")),
    PersonalData("messages", "chat_id", ("content", "error_detail"), becomes={"content": "", "error_detail": None}),
    PersonalData("chats", "user_id", ("title", "system_prompt", "folder", "guest", "share_token"),
                 becomes={"title": "", "system_prompt": "", "folder": None, "share_token": None}),
    PersonalData("support_requests", "user_id", ("message",), becomes={"message": ""}),
    PersonalData("document_revisions", "document_id", ("body", "error_detail"),
                 becomes={"body": "", "error_detail": None}),
    PersonalData("documents", "user_id", ("title",), becomes={"title": ""}),
    PersonalData("outgoing_mails", "user_id", ("to", "context"), becomes={"to": NOBODY, "context": {}}),
    PersonalData("outgoing_mails", "to", ("to", "context"), becomes={"to": NOBODY, "context": {}}),
)  # fmt: skip
"""In the order in which it is erased. Tables without columns here are part of the download only."""

MENTIONS = {
    "admin_changes": ("changes", "reason"),
    "ledger_entries": ("reason",),
    "payments": ("review_reason",),
    "subscriptions": ("review_note",),
    "refunds": ("reason",),
}
"""Free text of admins and of ours, in which an address or a name may be mentioned: it is struck out."""

STRUCK = "[deleted]"


def strike_mentions(person: Person, *mentions: str) -> None:
    """Take these mentions out of what others wrote about the person or their accounts."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(mention)}(?!\w)" for mention in mentions if mention))
    for name, columns in MENTIONS.items():
        table = Base.metadata.tables[name]
        about: list[ColumnElement[bool]] = [table.c.account_id.in_(person.account_ids)]
        if name == "admin_changes":
            about.append((table.c.subject == "users") & (table.c.subject_id == str(person.user_id)))
            about += [cast(table.c[column], String).contains(one) for column in columns for one in person.addresses]
        for row in db.session.execute(select(table.c.id, *(table.c[one] for one in columns)).where(or_(*about))):
            written = dict(zip(columns, row[1:], strict=True))
            struck = {column: without(value, pattern) for column, value in written.items()}
            if struck != written:
                db.session.execute(update(table).where(table.c.id == row[0]).values(**struck))


def without(value: Any, mention: re.Pattern[str]) -> Any:
    """A text, or JSON, without what is to be struck out."""
    if value is None or isinstance(value, str):
        return value and mention.sub(STRUCK, value)
    return json.loads(mention.sub(STRUCK, json.dumps(value, ensure_ascii=False)))
