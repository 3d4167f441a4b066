"""Mailed links: their secrets are made as the mail is sent, and stored as hashes only."""

import secrets
from typing import Any

from app import mailer
from app.extensions import db
from app.models.identity.invitation import Invitation
from app.models.identity.user import MailedToken, User
from app.models.operations.outbox import OutgoingMail


@mailer.made_at_sending("reset")
def reset_link(posted: OutgoingMail) -> dict[str, Any] | None:
    """For an address that has a user; nothing is sent to others."""
    user = User.with_email(posted.to)
    if user is None or user.disabled_at:
        return None
    secret = MailedToken.issue(user, "reset")
    return {"name": user.name, "link": mailer.link("auth.reset", token=secret)}


@mailer.made_at_sending("verify")
def verification_link(posted: OutgoingMail) -> dict[str, Any] | None:
    """For the user's own address, or the one they want, unless it is somebody else's or their credentials changed."""
    user = db.session.get_one(User, posted.context["user_id"])
    owner = User.with_email(posted.to)
    is_settled = owner is user and user.is_verified
    if user.disabled_at or is_settled or (owner is not None and owner is not user):
        return None
    if posted.context.get("credential") != user.credential_mark:
        return None
    secret = MailedToken.issue(user, "verify", posted.to)
    return {"name": user.name, "link": mailer.link("auth.verify", token=secret)}


def post_verification(user: User, address: str | None = None) -> None:
    """Mail the link that confirms the user's own address, or the one that they want."""
    made_by = {"user_id": user.id, "credential": user.credential_mark}
    mailer.post(f"verify:{secrets.token_hex(8)}", address or user.email, "verify", **made_by)


@mailer.made_at_sending("already_registered")
def sign_in_hint(posted: OutgoingMail) -> dict[str, Any] | None:
    user = db.session.get_one(User, posted.context["user_id"])
    if user.disabled_at:
        return None
    return {"name": user.name, "link": mailer.link("auth.login"), "reset_link": mailer.link("auth.forgot")}


@mailer.made_at_sending("invitation")
def invitation_link(posted: OutgoingMail) -> dict[str, Any] | None:
    invitation = db.session.get_one(Invitation, posted.context["invitation_id"])
    if not invitation.is_rightful:
        return None
    return {**invitation.terms, "link": mailer.link("auth.invitation", token=invitation.issue())}
