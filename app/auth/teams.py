"""The account page: its members, who used what, and the teams that a person is in. security.md 19."""

from typing import get_args

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.auth.forms import DeletionForm, RoleForm, TeamForm, faults
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.brand import Brand
from app.models.identity.invitation import Invitation
from app.models.identity.limit_request import LimitRequest
from app.models.identity.membership import Membership
from app.models.metering.budget import Period, own_limit
from app.models.metering.member_limit import month_of, spent_by_members
from app.models.metering.refusal import InvalidRequest
from app.web.access import in_any_account, managers_only, own_membership
from app.web.blueprints import auth
from app.web.browser_session import onwards, own_session
from app.web.numbers import credits_typed
from app.web.rate_limits import by_machine, by_person
from app.web.security_events import note


@auth.get("/account")
def account() -> str:
    """Everybody sees who is in; use, limits and invitations are for owners and admins."""
    shown, own = current_user.account, own_membership()
    waiting = LimitRequest.open_of(shown.id) if shown.kind == "team" else []
    db.session.commit()
    return render_template(
        "account.html",
        account=shown,
        membership=own,
        members=Membership.all_in(shown.id),
        invitations=Invitation.open_of(shown) if own.can_manage else [],
        requests=waiting if own.can_manage else [],
        own_brand=Brand.of(shown.id) if shown.plan.has_custom_branding else None,
        own_request=next((request for request in waiting if request.user_id == own.user_id), None),
        own_limit=own_limit(own, utcnow()),
        used=spent_by_members(shown.id, month_of(utcnow().date())) if shown.kind == "team" else {},
        memberships=[
            membership for membership in current_user.user.memberships if membership.account.closed_at is None
        ],
    )


def done(text: str) -> ResponseReturnValue:
    """Commit, and back to the page."""
    db.session.commit()
    flash(text, "good")
    return redirect(url_for("auth.account"))


@auth.post("/account/switch")
@in_any_account
def switch_account() -> ResponseReturnValue:
    """Act on another of one's accounts in this browser; 404 for any other."""
    wanted = Account.find(request.form.get("account_id", ""), closed_at=None)
    if wanted is None or Membership.of(current_user.user_id, wanted.id) is None:
        abort(404)
    act_on(wanted)
    db.session.commit()
    return onwards(request.form.get("next"))


@auth.post("/account/own-limit")
def set_own_limit() -> ResponseReturnValue:
    """What one lets oneself spend in a day, a week or a month of this account; an empty field: no limit."""
    text, period = request.form.get("limit_credits", "").strip(), request.form.get("period", "month")
    if period not in get_args(Period):
        raise InvalidRequest({"period": ["must be day, week or month."]})
    Account.locked(current_user.account_id)
    own = own_membership()
    own.own_limit_nanos = credits_typed(text, "limit_credits")
    own.own_limit_period = period
    return done("Your limit is saved." if text else "You have no limit of your own.")


@auth.post("/account/titles")
@managers_only
def choose_titles() -> ResponseReturnValue:
    """Whether new chats are titled by a model, which the account pays for."""
    current_user.account.writes_titles = "writes_titles" in request.form
    return done("Saved. This applies to new chats.")


def act_on(wanted: Account) -> None:
    browser = own_session()
    if browser:
        browser.account_id = wanted.id


@auth.post("/account/teams")
@by_machine("20 per hour")
def create_team() -> ResponseReturnValue:
    form = TeamForm()
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    team = Account.open(current_user.user, kind="team", name=form.name.data)
    act_on(team)
    return done(f"{team.name} is ready. It starts with its own balance of 0. You can invite anyone.")


@auth.post("/account/rename")
def rename_team() -> ResponseReturnValue:
    form = TeamForm()
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    held_team(own_membership()).name = form.name.data
    return done("Name saved.")


def held_team(own: Membership, *roles: str) -> Account:
    """The caller's team, held, where their role in it is one of `roles` (by default those that manage).

    The account is held before anybody's place is read again: two owners that leave at once are told apart.
    """
    team = Account.locked(own.account_id)
    db.session.refresh(own)
    if team.kind != "team" or team.closed_at or own.role not in (roles or ("owner", "admin")):
        abort(403)
    return team


def other_membership(own: Membership, member_id: str) -> Membership:
    """Another's place in the held team, which the caller may change."""
    membership = Membership.find(member_id, account_id=own.account_id) or abort(404)
    db.session.refresh(membership)
    if not own.may_change(membership):
        abort(403)
    return membership


@auth.post("/account/members/<member_id>/role")
def change_role(member_id: str) -> ResponseReturnValue:
    own, form = own_membership(), RoleForm()
    held_team(own)
    membership = other_membership(own, member_id)
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    if form.role.data not in own.grantable_roles:
        abort(403)
    membership.change_role(form.role.data)
    note("role changed", membership.user_id, account=own.account_id, role=form.role.data, by=own.user_id)
    return done(f"{membership.user.name or membership.user.email} is now {form.role.data}.")


@auth.post("/account/members/<member_id>/limit")
def change_limit(member_id: str) -> ResponseReturnValue:
    """In credits; an empty field for none."""
    own, typed = own_membership(), request.form.get("limit_credits", "").strip()
    held_team(own)
    membership = other_membership(own, member_id)
    is_over = membership.limit_to(credits_typed(typed, "limit_credits"))
    ended = " What was granted on top has ended." if is_over else ""
    return done(("Monthly limit saved." if typed else "Monthly limit removed.") + ended)


@auth.post("/account/members/<member_id>/remove")
def remove_member(member_id: str) -> ResponseReturnValue:
    own = own_membership()
    held_team(own)
    membership = other_membership(own, member_id)
    name = membership.user.name or membership.user.email
    note("member removed", membership.user_id, account=own.account_id, by=own.user_id)
    membership.end()
    return done(f"{name} is out. What they used stays in the receipts.")


@auth.post("/account/members/<member_id>/owner")
def hand_over(member_id: str) -> ResponseReturnValue:
    """Transfer the ownership: the other becomes owner, the caller admin."""
    own = own_membership()
    held_team(own, "owner")
    membership = other_membership(own, member_id)
    own.hand_over(membership)
    note("role changed", membership.user_id, account=own.account_id, role="owner", by=own.user_id)
    return done(f"{membership.user.name or membership.user.email} owns the team now, and you are an admin of it.")


@auth.post("/account/leave")
def leave_team() -> ResponseReturnValue:
    own = own_membership()
    team = held_team(own, "owner", "admin", "member")
    own.end()
    return done(f"You have left {team.name}.")


@auth.post("/account/close")
@by_person("20 per hour")
def close_team() -> ResponseReturnValue:
    """No use from now on; the subscription ends, ledger and receipts stay."""
    own, form = own_membership(), DeletionForm()
    team = held_team(own, "owner")
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    team.close()
    answer = done(f"{team.name} is closed. Its receipts are kept.")
    enqueue(JobName.ACCOUNT_CLOSED, team.id)
    return answer
