"""Mailed links: their secrets are made as the mail is sent, and stored as hashes only."""

from typing import Any

from app import mailer
from app.extensions import db
from app.models.identity.invitation import Invitation
from app.models.identity.user import MailedToken, User, digest
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
    """For the user's own address, or the one they want, unless it is somebody else's or the password has changed."""
    user = db.session.get_one(User, posted.context["user_id"])
    owner = User.with_email(posted.to)
    is_settled = owner is user and user.is_verified
    if user.disabled_at or is_settled or (owner is not None and owner is not user):
        return None
    if posted.context.get("credential") not in {None, credential_of(user)}:
        return None
    secret = MailedToken.issue(user, "verify", posted.to)
    return {"name": user.name, "link": mailer.link("auth.verify", token=secret)}


def credential_of(user: User) -> str:
    """A mark of the current password: a waiting mail that was ordered under another one is not sent."""
    return digest(user.password_hash)[:16]


@mailer.made_at_sending("already_registered")
def sign_in_hint(posted: OutgoingMail) -> dict[str, Any] | None:
    user = db.session.get_one(User, posted.context["user_id"])
    if user.disabled_at:
        return None
    return {"name": user.name, "link": mailer.link("auth.login"), "reset_link": mailer.link("auth.forgot")}


@mailer.made_at_sending("invitation")
def invitation_link(posted: OutgoingMail) -> dict[str, Any] | None:
    invitation = db.session.get_one(Invitation, posted.context["invitation_id"])
    if invitation.accepted_at or invitation.revoked_at or not invitation.is_rightful:
        return None
    return {
        "account_name": invitation.account.name,
        "inviter_name": invitation.invited_by.name or invitation.invited_by.email,
        "role": invitation.role,
        "link": mailer.link("auth.invitation", token=invitation.issue()),
    }
