"""What is missing from the installation itself, for the overview: nobody else would notice."""

from collections.abc import Iterator
from datetime import timedelta

from flask import current_app
from sqlalchemy import func, select

from app.extensions import db
from app.models.base import utcnow
from app.models.operations.outbox import OutgoingMail


def alarms() -> Iterator[str]:
    """What an owner has to set, and what was not sent, in sentences."""
    config = current_app.config
    if config["APP_ENV"] == "production" and config["MAIL_BACKEND"] == "file":
        yield "No email is sent, since MAIL_URL isn't set: nobody can confirm an email or reset a password."
    if config["STRIPE_SECRET_KEY"] and not config["STRIPE_WEBHOOK_SECRETS"]:
        yield "Stripe's events are refused, since STRIPE_WEBHOOK_SECRET isn't set: payments may not be credited."
    lately = OutgoingMail.created_at > utcnow() - timedelta(days=2)
    given_up = OutgoingMail.is_unsent(), OutgoingMail.attempts >= OutgoingMail.RETRIES.most, lately
    if lost := db.session.scalar(select(func.count()).select_from(OutgoingMail).where(*given_up)):
        yield f"{lost} email{'s' if lost > 1 else ''} couldn't be sent in two days. Check MAIL_URL and MAIL_FROM."
