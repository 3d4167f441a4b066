"""Outgoing webhooks: endpoints of an account or of the installation, and the one delivery of each event."""

import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from flask import current_app
from sqlalchemy import ColumnElement, UniqueConstraint, func, or_, select, text
from sqlalchemy.orm import Mapped, aliased, mapped_column, relationship

from app.extensions import db
from app.models.base import Model, insert_once, partial_index, refers_to, utcnow
from app.models.encryption import cipher
from app.models.metering.refusal import Conflict, InvalidRequest
from app.models.operations.retries import Retries, Sendable

EVENTS = (
    "balance.low", "limit.reached", "recharge.done", "recharge.failed", "breaker.tripped", "subscription.changed",
)  # fmt: skip
MOST_ENDPOINTS = 5
OVERLAP, MOST_FORMER = timedelta(hours=24), 3
"""How long former secrets sign beside a new one, and how many: who lost one that is not in use yet rotates again."""

SHOWN = 50
LONGEST_URL = 500
UNSENT = text("delivered_at IS NULL")


class WebhookEndpoint(Model):
    """An address of an account, or without one of the installation, which hears of all accounts.

    Secrets are sealed; `former_secret` may hold several, the newest first.
    """

    __tablename__ = "webhook_endpoints"

    account_id: Mapped[int | None] = refers_to("accounts.id", index=True)
    url: Mapped[str]
    secret: Mapped[str]
    former_secret: Mapped[str | None]
    former_until: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]

    @classmethod
    def make(cls, account_id: int | None, url: str) -> "tuple[WebhookEndpoint, str]":
        """A new endpoint and its secret: the only time that it is shown."""
        if len(cls.of(account_id)) >= MOST_ENDPOINTS:
            raise Conflict("too_many_endpoints", context={"most": MOST_ENDPOINTS})
        secret = new_secret()
        endpoint = cls(account_id=account_id, url=checked_url(url), secret=seal(secret))
        db.session.add(endpoint)
        db.session.flush()
        return endpoint, secret

    @classmethod
    def of(cls, account_id: int | None) -> "list[WebhookEndpoint]":
        live = cls.account_id.is_not_distinct_from(account_id), cls.removed_at.is_(None)
        return list(db.session.scalars(select(cls).where(*live).order_by(cls.id)))

    def rotate(self) -> str:
        """A new secret, shown this once; for a day all sign, so that nothing is missed while it is changed."""
        secret, now = new_secret(), utcnow()
        self.former_secret = " ".join([self.secret, *self.formers_at(now)][:MOST_FORMER])
        self.secret, self.former_until = seal(secret), now + OVERLAP
        return secret

    def formers_at(self, at: datetime) -> list[str]:
        """The sealed secrets of before that still sign."""
        is_over = self.former_until is None or at >= self.former_until
        return [] if is_over or not self.former_secret else self.former_secret.split()

    def remove(self) -> None:
        self.removed_at = self.removed_at or utcnow()

    def signature(self, body: bytes, at: datetime) -> str:
        """As Stripe's: `t=` the second, `v1=` HMAC-SHA256 of "t.body" by each secret that holds."""
        stamp = int(at.timestamp())
        sealed = [self.secret, *self.formers_at(at)]
        payload = f"{stamp}.".encode() + body
        marks = (
            hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest() for secret in map(opened, sealed) if secret
        )  # fmt: skip
        return ",".join([f"t={stamp}", *(f"v1={mark}" for mark in marks)])

    @property
    def deliveries(self) -> "list[WebhookDelivery]":
        """What it was told of late, newest first."""
        own = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == self.id)
        return list(db.session.scalars(own.order_by(WebhookDelivery.id.desc()).limit(SHOWN)))


class WebhookDelivery(Sendable):
    """One event for one endpoint. `outcome` is what the last attempt came to: a status, or why there was none."""

    RETRIES = Retries(9, timedelta(minutes=1), factor=3)
    """The last attempt is more than two days after the first."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "key"),
        partial_index("ix_webhook_deliveries_due", "next_attempt_at", where=UNSENT),
    )

    endpoint_id: Mapped[int] = refers_to("webhook_endpoints.id")
    key: Mapped[str]
    event: Mapped[str]
    body: Mapped[str]
    delivered_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(default="")

    endpoint = relationship("WebhookEndpoint")

    @classmethod
    def post(cls, account_id: int, key: str, event: str, **data: Any) -> None:
        """Write down, in the running transaction, what the account's endpoints and the installation's are to hear."""
        hears = or_(WebhookEndpoint.account_id == account_id, WebhookEndpoint.account_id.is_(None))
        live = select(WebhookEndpoint.id).where(hears, WebhookEndpoint.removed_at.is_(None))
        now = utcnow()
        moment = now.isoformat().replace("+00:00", "Z")
        told = {"id": key, "type": event, "created_at": moment, "account_id": str(account_id), "data": data}
        row = {
            "key": key,
            "event": event,
            "body": json.dumps(told),
            "created_at": now,
            "next_attempt_at": now,
        }
        for endpoint_id in db.session.scalars(live).all():
            one = row | {"endpoint_id": endpoint_id, "attempts": 0, "outcome": ""}
            db.session.execute(insert_once(cls.__table__).values(one))

    @classmethod
    def due(cls) -> list[tuple[int, int]]:
        """What is to be sent now: ids of deliveries, with those of their endpoints.

        The oldest of each endpoint come first, those of one that has failed last: nobody waits for what another one
        does not take.
        """
        tried = aliased(cls)
        failing = select(tried.endpoint_id).where(tried.delivered_at.is_(None), tried.attempts > 0)
        has_failed = cls.endpoint_id.in_(failing.where(tried.attempts < cls.RETRIES.most))
        turn = func.row_number().over(partition_by=cls.endpoint_id, order_by=cls.id)
        live = select(cls.id, cls.endpoint_id).join(WebhookEndpoint).where(*cls.is_to_send())
        live = live.where(WebhookEndpoint.removed_at.is_(None)).order_by(has_failed, turn, cls.id).limit(200)
        return [(row.id, row.endpoint_id) for row in db.session.execute(live)]

    @classmethod
    def claim(cls, row_id: int) -> Self | None:
        row = super().claim(row_id)
        return row if row is not None and row.endpoint.removed_at is None else None

    @classmethod
    def is_unsent(cls) -> ColumnElement[bool]:
        return cls.delivered_at.is_(None)

    @classmethod
    def of_account(cls, account_id: int | None, delivery_id: str) -> "WebhookDelivery | None":
        """One of that account's own endpoints, or of the installation's."""
        row = cls.find(delivery_id)
        is_own = row is not None and row.endpoint.account_id == account_id and row.endpoint.removed_at is None
        return row if is_own else None

    def again(self) -> None:
        """Send once more, as if it were new; its id stays, by which a receiver knows it."""
        self.attempts, self.next_attempt_at, self.delivered_at, self.outcome = 0, utcnow(), None, ""

    def ended(self, outcome: str, *, is_taken: bool) -> None:
        self.outcome = outcome
        self.delivered_at = utcnow() if is_taken else None

    @property
    def is_given_up(self) -> bool:
        return self.delivered_at is None and self.attempts >= self.RETRIES.most


def count_unsent() -> int:
    """Deliveries that were given up."""
    lost = WebhookDelivery.delivered_at.is_(None), WebhookDelivery.attempts >= WebhookDelivery.RETRIES.most
    return db.session.scalar(select(func.count()).select_from(WebhookDelivery).where(*lost)) or 0


def checked_url(url: str) -> str:
    """An address of the web, without a name and password in it; https in production. InvalidRequest names the fault."""
    try:
        parts = urlsplit(url.strip())
        is_port_known = parts.port != 0
    except ValueError:
        raise InvalidRequest({"url": ["is not an address of the web."]}) from None
    schemes = {"https"} if current_app.config["APP_ENV"] == "production" else {"https", "http"}
    is_whole = parts.hostname and url.isascii() and url.strip().isprintable() and " " not in url.strip()
    if parts.scheme not in schemes or not is_whole or not is_port_known or len(url) > LONGEST_URL:
        raise InvalidRequest({"url": ["must begin with https:// and name a host."]})
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest({"url": ["must not contain a name or password."]})
    return url.strip()


def new_secret() -> str:
    return "whsec_" + secrets.token_urlsafe(32)


def seal(secret: str) -> str:
    return cipher("outgoing webhooks").encrypt(secret.encode()).decode()


def opened(sealed: str) -> str | None:
    """None where it was sealed under another SECRET_KEY: it must be rotated."""
    try:
        return cipher("outgoing webhooks").decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None
