"""API keys over JSON: make, list, revoke. A key acts on the account that it was made in."""

from __future__ import annotations

from typing import Annotated, Any

from flask_login import current_user
from pydantic import Field
from sqlalchemy import Select, select

from app.api.blueprint import api, moment, or_404, page_of
from app.api.bodies import Body, Filled
from app.api.schemas import MOMENT, PAGING, TEXT, described, or_null, page, shape
from app.extensions import db
from app.models.identity.api_key import ApiKey

LONGEST_NAME = 100
KEY = shape("Key", id=TEXT, name=TEXT, prefix=TEXT, created_at=MOMENT, last_used_at=or_null(MOMENT))
NEW_KEY = shape("NewKey", key=TEXT, **KEY["properties"])


class NewKey(Body):
    name: Annotated[Filled, Field(max_length=LONGEST_NAME)]


@api.post("/keys")
@described(
    "Make a key; its secret is in this answer and never again",
    NEW_KEY,
    status=201,
    body=NewKey,
)
def make_key() -> tuple[dict[str, Any], int]:
    name = NewKey.read().name.strip()
    key, secret = ApiKey.make(current_user.account_id, current_user.user_id, name)
    db.session.commit()
    return shown_key(key) | {"key": secret}, 201


@api.get("/keys")
@described("One's own keys; for owners and admins all keys of the account", page(KEY), query=PAGING)
def list_keys() -> dict[str, Any]:
    return page_of(visible_keys(), ApiKey.id, shown_key)


@api.delete("/keys/<key_id>")
@described("Revoke a key, from now on", status=204)
def revoke_key(key_id: str) -> tuple[str, int]:
    key = or_404(ApiKey.find(key_id, account_id=current_user.account_id, revoked_at=None))
    or_404(key if current_user.can_manage or key.user_id == current_user.user_id else None)
    key.revoke()
    db.session.commit()
    return "", 204


def visible_keys() -> Select[ApiKey]:
    live = select(ApiKey).where(ApiKey.account_id == current_user.account_id, ApiKey.revoked_at.is_(None))
    return live if current_user.can_manage else live.where(ApiKey.user_id == current_user.user_id)


def shown_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.id),
        "name": key.name,
        "prefix": key.prefix,
        "created_at": moment(key.created_at),
        "last_used_at": moment(key.last_used_at),
    }
