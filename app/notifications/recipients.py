"""Whom a mail goes to: the account's owner, or the admins."""

from typing import Any

from sqlalchemy import select

from app import mailer
from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.user import User


def owner(account: Account, key: str, template: str, **context: Any) -> None:
    where = {"account_id": account.id, "account_name": account.title, "billing_url": mailer.link("billing.overview")}
    mailer.post(f"{key}:{account.id}", account.owner.email, template, **where, **context)


def admins(key: str, template: str, **context: Any) -> None:
    chosen = select(User).where(User.admin_role == "owner", User.disabled_at.is_(None))
    for person in db.session.scalars(chosen):
        mailer.post(f"{key}:{person.id}", person.email, template, **context)
