"""Invitations: sent by a team's managers, accepted by the person at the invited address."""

import re
import secrets

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import mailer
from app.auth.forms import InvitationForm, faults
from app.auth.teams import act_on
from app.extensions import db
from app.models.billing.allowance_refill import give_free_credits
from app.models.identity.account import Account
from app.models.identity.invitation import Invitation
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.refusal import InvalidRequest
from app.web.access import managers_only, public
from app.web.blueprints import auth
from app.web.browser_session import onwards
from app.web.page_context import awaits_verification
from app.web.rate_limits import by_machine
from app.web.security_events import note

LINK = re.compile(r"/invitations/([\w-]{1,100})")


def invitation_in(target: str | None) -> Invitation | None:
    """The live invitation that a page to go on to belongs to."""
    invitation = LINK.fullmatch(target or "")
    return Invitation.find_live(invitation[1]) if invitation else None


@auth.get("/invitations/<token>")
@public
def invitation(token: str) -> ResponseReturnValue:
    invitation = Invitation.find_live(token)
    if invitation is None:
        return render_template("auth/invitation.html", is_dead=True), 404
    is_other = current_user.is_authenticated and current_user.email != invitation.email
    return render_template(
        "auth/invitation.html",
        invitation={**invitation.terms, "email": invitation.email},
        is_dead=False,
        needs_sign_in=not current_user.is_authenticated,
        other_address=current_user.email if is_other else None,
    )


@auth.post("/invitations/<token>")
def accept_invitation(token: str) -> ResponseReturnValue:
    """Join the team, and go on in it."""
    invitation = Invitation.find_live(token)
    if invitation is None:
        return render_template("auth/invitation.html", is_dead=True), 404
    if invitation.email != current_user.email:
        abort(403)
    own = Account.locked(current_user.user.home_id)
    Account.locked(invitation.account_id)
    db.session.refresh(invitation)
    if not invitation.is_rightful:
        abort(404)
    invitation.accept(current_user.user)
    note("invitation accepted", account=invitation.account_id, role=invitation.role)
    give_free_credits(own)
    act_on(invitation.account)
    db.session.commit()
    flash(f"You've joined {invitation.account.name}. The team pays for what you use here.", "good")
    return onwards()


@auth.post("/account/invitations")
@managers_only
@by_machine("60 per hour")
def invite() -> ResponseReturnValue:
    """For who has confirmed their own email, where that is asked for: the mail goes out in their name."""
    form = InvitationForm()
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    if awaits_verification():
        raise InvalidRequest({"email": ["can be invited once you've confirmed your own email."]})
    account = Account.locked(current_user.account_id)
    by = Membership.of(current_user.user_id, account.id)
    if account.kind != "team" or account.closed_at or by is None or not by.can_manage:
        abort(403)
    known = User.with_email(form.email.data)
    if known and Membership.of(known.id, account.id):
        raise InvalidRequest({"email": ["is a member of this team already."]})
    sent = Invitation.send(account, by.user, form.email.data, form.role.data)
    mailer.post(f"invitation:{sent.id}:{secrets.token_hex(4)}", sent.email, "invitation", invitation_id=sent.id)
    db.session.commit()
    flash(f"Invitation sent to {sent.email}. It works for seven days.", "good")
    return redirect(url_for("auth.account"))


@auth.post("/account/invitations/<invitation_id>/revoke")
@managers_only
def revoke_invitation(invitation_id: str) -> ResponseReturnValue:
    Account.locked(current_user.account_id)
    invitation = Invitation.find(invitation_id, account_id=current_user.account_id)
    if invitation is None or invitation.accepted_at:
        abort(404)
    invitation.revoke()
    db.session.commit()
    flash(f"Invitation to {invitation.email} revoked.", "good")
    return redirect(url_for("auth.account"))
