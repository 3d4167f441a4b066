"""API keys over JSON: make, list, revoke. A key acts on the account that it was made in."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from flask import abort
from flask_login import current_user
from pydantic import Field, StrictInt
from sqlalchemy import select

from app.api.blueprint import answer_of, api, or_404, rows_of_page
from app.api.bodies import Body, Credits, Filled, Text, sent_json
from app.api.schemas import MOMENT, PAGING, TEXT, amounts, amounts_or_null, array, described, or_null, page, shape
from app.extensions import db
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.api_key import OWNERS_SCOPES, SCOPES, ApiKey, Scope
from app.models.identity.email_address import holds_address, one_line
from app.models.metering.key_limit import spent_by_keys
from app.models.metering.refusal import InvalidRequest
from app.web.access import BY_PEOPLE, for_scope
from app.web.browser_session import hold_person
from app.web.security_events import key_made, note

LONGEST_NAME = 100
LONGEST_LIFE = 3650
KEY = shape(
    "Key",
    id=TEXT,
    name=TEXT,
    prefix=TEXT,
    scopes=array(TEXT),
    created_at=MOMENT,
    expires_at=or_null(MOMENT),
    last_used_at=or_null(MOMENT),
    models=array(TEXT),
    **amounts_or_null("monthly_limit", "total_limit"),
    **amounts("monthly_used", "total_used"),
) | {
    "description": "`monthly_used` is what its calls came to since the month (UTC) began, `total_used` in all; running "
    "calls count as reserved. Both are there without limits, too."
}
NEW_KEY = shape("NewKey", key=TEXT, **KEY["properties"])


class KeyLimitFields(Body):
    """What a key may spend in a month (UTC) and in all, and which models it may ask; null: no limit."""

    monthly_limit_credits: Credits | None = None
    total_limit_credits: Credits | None = None
    models: Annotated[list[Annotated[Text, Field(max_length=200)]], Field(max_length=100)] | None = None

    def apply(self, key: ApiKey, names: Iterable[str]) -> None:
        """Put those of the fields that were sent onto the key."""
        for name in ("monthly_limit", "total_limit"):
            if f"{name}_credits" in names:
                setattr(key, f"{name}_nanos", getattr(self, f"{name}_credits"))
        if "models" in names:
            key.models = list(dict.fromkeys(self.models or ()))


class NewKey(KeyLimitFields):
    """`expires_in_days`: none, and the key has no end."""

    name: Annotated[Filled, Field(max_length=LONGEST_NAME)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=10)] = SCOPES
    expires_in_days: Annotated[StrictInt, Field(ge=1, le=LONGEST_LIFE)] | None = None


@api.post("/keys")
@for_scope(BY_PEOPLE)
@described(
    "Create an API key; its secret is shown only in this answer. Keys can't create keys",
    NEW_KEY,
    status=201,
    body=NewKey,
)
def make_key() -> tuple[dict[str, Any], int]:
    sent = NewKey.read()
    if OWNERS_SCOPES & set(sent.scopes) and current_user.role != "owner":
        abort(403)
    name = one_line(sent.name)
    if holds_address(name):
        raise InvalidRequest({"name": ["holds a web or mail address."]})
    Account.locked(current_user.account_id)
    hold_person()
    own = current_user.account_id, current_user.user_id
    key, secret = ApiKey.make(*own, name, scopes=sent.scopes, days=sent.expires_in_days)
    sent.apply(key, sent_json())
    key_made(key, current_user.user)
    db.session.commit()
    return shown_key(key) | {"key": secret}, 201


@api.patch("/keys/<key_id>")
@for_scope(BY_PEOPLE)
@described("Change a key's limits, as its creator, an owner or an admin", KEY, body=KeyLimitFields)
def change_key(key_id: str) -> dict[str, Any]:
    key = my_key(key_id)
    KeyLimitFields.read().apply(key, sent_json())
    db.session.commit()
    note("key changed", key=key.prefix)
    return shown_key(key)


@api.post("/keys/<key_id>/rotate")
@for_scope(BY_PEOPLE)
@described(
    "Give your own key a new secret; limits and spending stay, the old secret stops working",
    NEW_KEY,
)
def rotate_key(key_id: str) -> dict[str, Any]:
    """A key acts as its maker, so nobody else gets its secret."""
    hold_person()
    key = my_key(key_id)
    or_404(key if key.user_id == current_user.user_id else None)
    secret = key.rotate()
    key_made(key, current_user.user, "key rotated")
    db.session.commit()
    return shown_key(key) | {"key": secret}


@api.get("/keys")
@described("List your keys or, as an owner or admin, all keys of the account", page(KEY), query=PAGING)
def list_keys() -> dict[str, Any]:
    keys, next_cursor = rows_of_page(select(ApiKey).filter_by(**current_user.sees).where(*ApiKey.is_live()), ApiKey.id)
    return {"items": shown_keys(keys), "next_cursor": next_cursor}


@api.delete("/keys/<key_id>")
@described("Revoke a key", status=204)
def revoke_key(key_id: str) -> tuple[str, int]:
    key = my_key(key_id)
    key.revoke()
    db.session.commit()
    note("key revoked", key=key.prefix)
    return "", 204


def my_key(key_id: str) -> ApiKey:
    """A live key of one's own; for owners and admins any of the account."""
    return or_404(ApiKey.find_live(key_id, **current_user.sees))


def shown_key(key: ApiKey) -> dict[str, Any]:
    return shown_keys([key])[0]


def shown_keys(keys: Sequence[ApiKey]) -> list[dict[str, Any]]:
    """With what each has spent."""
    spent = spent_by_keys([key.id for key in keys], utcnow())
    return [
        answer_of(KEY, key, scopes=key.scopes.split(), monthly_used_nanos=month, total_used_nanos=total)
        for key in keys
        for month, total in [spent.get(key.id, (0, 0))]
    ]
