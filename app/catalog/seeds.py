"""What a new installation starts with: plans, packs, models, the first admin. Rows that an admin edits."""

import secrets
from decimal import Decimal
from typing import Any

from flask import current_app
from sqlalchemy import select

from app.catalog.price_source import SINCE_EVER, listed_models, listed_providers, nanos
from app.catalog.vendor_prices import quotes
from app.extensions import db
from app.models.base import NANOS_PER_CREDIT, utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.provider_account import ProviderAccount
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.email_address import known_as
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange

CREDITS = NANOS_PER_CREDIT
NO_COLUMNS = {
    *("provider", "priced_as", "priced_by", "second_prefix", "dollars", "peak", "extra_input_tokens"),
    "an_image",
}

PLANS = (
    {
        "name": "Free",
        "description": "Try every model for free.",
        "is_default": True,
        "margin_bps": 0,
        "allowance_override_nanos": 500 * CREDITS,
        "daily_limit_nanos": 50 * CREDITS,
        "parallel_calls": 2,
    },
    {
        "name": "Pay as you go",
        "description": "No subscription. Buy credits and use them whenever you like.",
        "margin_bps": 0,
        "allowance_override_nanos": 0,
        "bullets": ["Credits never expire", "Optional auto-recharge"],
    },
    {
        "name": "Starter",
        "description": "A fixed price, never a cent more.",
        "price_cents": 1000,
        "allows_packs": False,
    },
    {
        "name": "Plus",
        "description": "A monthly allowance, with extra credits for busy months.",
        "price_cents": 2000,
    },
    {
        "name": "Pro",
        "description": "For daily work.",
        "price_cents": 10000,
        "margin_bps": 4500,
        "is_popular": True,
        "parallel_calls": 10,
        "has_priority_support": True,
    },
    {
        "name": "Enterprise",
        "description": "For teams that use AI all day.",
        "price_cents": 20000,
        "surcharge_cents": 1000,
        "margin_bps": 4000,
        "parallel_calls": 25,
        "has_priority_support": True,
        "has_custom_branding": True,
    },
    {
        "name": "Plus (yearly)",
        "description": "A year of Plus for the price of ten months.",
        "price_cents": 20000,
        "interval": "year",
        "margin_bps": 4000,
        "bullets": ["Two months free"],
    },
)
PACKS = (
    {"name": "Small pack", "price_cents": 1000},
    {"name": "Medium pack", "price_cents": 2500, "margin_bps": 4800},
    {"name": "Large pack", "price_cents": 10000, "margin_bps": 4600},
)


def seed_catalogue() -> None:
    """Add what is missing on an installation without plans; nothing that is there is touched."""
    if db.session.query(Plan).first() is None:
        for position, plan in enumerate(PLANS):
            db.session.add(Plan(position=position, **plan))
        for position, pack in enumerate(PACKS):
            db.session.add(CreditPack(position=position, **pack))
    seed_models()
    db.session.flush()


def seed_models() -> None:
    """Add the providers and models that are missing, each with its prices: today's, and those that are announced.

    The demo models are sold everywhere but in production, where an admin may switch their provider on.
    """
    providers = {provider.name: provider for provider in db.session.scalars(select(ProviderAccount))}
    for listed in listed_providers():
        if listed["name"] not in providers:
            is_enabled = listed["kind"] != "demo" or current_app.config["APP_ENV"] != "production"
            providers[listed["name"]] = ProviderAccount(is_enabled=is_enabled, **columns_of(listed))
            db.session.add(providers[listed["name"]])
    known = set(db.session.scalars(select(AIModel.name)))
    for position, listed in enumerate(listed_models()):
        if listed["name"] not in known:
            model = listed_model(listed, providers[listed["provider"]], position)
            db.session.add(model)
            db.session.add_all(image_prices(listed, model))


def listed_model(listed: dict[str, Any], provider: ProviderAccount, position: int) -> AIModel:
    extra = {maker["name"]: maker.get("extra_input_tokens") for maker in listed_providers()}
    model = AIModel(**columns_of(listed), provider=provider, position=position)
    model.extra_input_tokens = extra[listed["provider"]]
    model.prices = [ModelPrice(**quote.columns, source=quote.source, approved_at=utcnow()) for quote in quotes(listed)]
    return model


def image_prices(listed: dict[str, Any], model: AIModel) -> list[ImagePrice]:
    """What an image of a model that makes them is sold at, by quality and size."""
    return [
        ImagePrice(
            model=model,
            quality=quality,
            size=size,
            price_nanos=nanos(Decimal(dollars)),
            effective_from=SINCE_EVER,
            approved_at=utcnow(),
        )
        for quality, sizes in listed.get("an_image", {}).items()
        for size, dollars in sizes.items()
    ]


def columns_of(listed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in listed.items() if name not in NO_COLUMNS}


def has_owner() -> bool:
    """Whether somebody can already do everything in the admin."""
    return db.session.scalar(select(User.id).where(User.admin_role == "owner").limit(1)) is not None


class NotTheirs(Exception):
    """The address is not known to be its person's; the message says what to do."""


def seed_admin(email: str, password: str | None) -> str | None:
    """Make that address an owner of the installation; returns the password of a person who is new.

    NotTheirs for an account that anybody may have made with it, or that is disabled.
    """
    person = User.with_email(email)
    if person:
        appoint(person)
        return None
    password = password or secrets.token_urlsafe(12)
    person = User(email=known_as(email), name="Admin", admin_role="owner")
    person.set_password(password)
    person.verify_email()
    db.session.add(person)
    db.session.flush()
    Account.open(person)
    return password


def appoint(person: User) -> None:
    if person.disabled_at:
        raise NotTheirs(f"{person.email} is disabled. Enable it in the admin first, or use another email.")
    if not person.is_verified and Setting.get("require_verified_email"):
        raise NotTheirs(f"{person.email} signed up here and isn't confirmed: follow the link in its email first.")
    if person.admin_role != "owner":
        changes = {"admin_role": [person.admin_role, "owner"], "by": [None, "command line"]}
        person.admin_role = "owner"
        AdminChange.note(person.id, "appoint", person, changes=changes)
