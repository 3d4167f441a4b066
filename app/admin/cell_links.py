"""Accounts and people by name in every list, filters by name, and links to Stripe's own pages."""

from collections.abc import Iterable
from typing import Any

from flask import current_app, g, url_for
from flask_admin.contrib.sqla.filters import BaseSQLAFilter
from markupsafe import Markup
from sqlalchemy import exists, func, or_, select

from app.admin.cell_formats import hinted, link
from app.config import STRIPE_API
from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.search import contains
from app.web.formatting import model_title, operation_title

STRIPE_PAGES = {"pi_": "payments", "cus_": "customers", "sub_": "subscriptions", "in_": "invoices", "evt_": "events",
                "prod_": "products", "re_": "refunds", "ch_": "payments"}  # fmt: skip
MODEL_COLUMNS = ("model", "model.name", "default_model")
STRIPE_COLUMNS = ("stripe_id", "stripe_payment_intent_id", "stripe_invoice_id")
OWNER_EMAIL = (
    select(User.email)
    .join(Membership)
    .where(Membership.account_id == Account.id, Membership.role == "owner")
    .order_by(Membership.id)
    .limit(1)
    .correlate(Account)
    .scalar_subquery()
)
"""The email of an account's first owner, within a statement about accounts."""

ACCOUNT_NAME = func.coalesce(func.nullif(Account.name, ""), OWNER_EMAIL).label("name")
"""A personal account whose owner gave no name is known by their email."""


NAMED = {
    "account_id": (Account.id, ACCOUNT_NAME, "account", "Account"),
    "user_id": (User.id, User.email.label("name"), "user", "Person"),
}
"""Of a column with ids: what those are called, the endpoint of their pages, and the word for one without a name."""


def read_names(rows: Iterable[Any], column: str) -> None:
    """What a column of these rows is about is called, for the cells that are drawn next: by one statement."""
    identity, name, _endpoint, _word = NAMED[column]
    ids = {getattr(row, column) for row in rows} - {None}
    named = db.session.execute(select(identity, name).where(identity.in_(ids))) if ids else ()
    known_in(column).update((row.id, row.name) for row in named)


def known_in(column: str) -> dict[int, str]:
    names: dict[str, dict[int, str]] = g.setdefault("names_in_cells", {})
    return names.setdefault(column, {})


def named_cell(_view: Any, _context: Any, row: Any, column: str) -> Markup | str:
    identity, known = getattr(row, column), known_in(column)
    if not identity:
        return ""
    if identity not in known:
        read_names([row], column)
    _identity, _name, endpoint, word = NAMED[column]
    return link(url_for(f"{endpoint}.details_view", id=identity), known.get(identity) or f"{word} {identity}")


def model_cell(_view: Any, _context: Any, row: Any, name: str) -> Markup | str:
    """What people call the model, with its id as a hint."""
    model = getattr(row, name.partition(".")[0])
    known = getattr(model, "name", model) or ""
    return hinted(model_title(known), known) if known else ""


def operation_cell(_view: Any, _context: Any, row: Any, _name: str) -> str:
    return operation_title(row.operation)


def stripe_cell(_view: Any, _context: Any, row: Any, name: str) -> Markup | str:
    """The id, leading to its page at Stripe, or in the sandbox's dashboard."""
    stripe_id = getattr(row, name) or ""
    page = next((page for start, page in STRIPE_PAGES.items() if stripe_id.startswith(start)), None)
    if page is None:
        return stripe_id
    base = current_app.config["STRIPE_API_BASE"]
    if base != STRIPE_API:
        return link(f"{base}/", stripe_id)
    mode = "test/" if "_test_" in (current_app.config["STRIPE_SECRET_KEY"] or "") else ""
    return link(f"https://dashboard.stripe.com/{mode}{page}/{stripe_id}", stripe_id)


def accounts_matching(typed: str) -> Any:
    """The accounts with this number, or with this in their name or a member's name or email."""
    person = or_(contains(User.email, typed), contains(User.name, typed))
    member = exists().where(Membership.account_id == Account.id, Membership.user_id == User.id, person)
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 18 else 0
    return or_(Account.id == number, contains(Account.name, typed), member)


class ModelFilter(BaseSQLAFilter):
    """Rows of the models with this in their id or title."""

    def apply(self, query: Any, value: str, alias: Any = None) -> Any:
        named = or_(contains(AIModel.name, value.strip()), contains(AIModel.title, value.strip()))
        return query.filter(self.get_column(alias).in_(select(AIModel.name).where(named)))

    def operation(self) -> str:
        return "contains"


class AccountFilter(BaseSQLAFilter):
    """Rows of the accounts of that number, name, or member."""

    def apply(self, query: Any, value: str, alias: Any = None) -> Any:
        if value.isascii() and value.isdigit():
            return query.filter(self.get_column(alias) == int(value[:18]))
        return query.filter(self.get_column(alias).in_(select(Account.id).where(accounts_matching(value.strip()))))

    def operation(self) -> str:
        return "equals"
