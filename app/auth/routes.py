"""Sign-up, sign-in and sign-out."""

from __future__ import annotations

from flask import Blueprint, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user

from app.auth.guards import public
from app.extensions import db
from app.models.account import Account
from app.models.caller import Caller
from app.models.refill import give_welcome_credit, refill_if_due
from app.models.user import User, UserSession

auth = Blueprint("auth", __name__)


@auth.route("/signup", methods=["GET", "POST"])
@public
def signup() -> ResponseReturnValue:
    if request.method == "GET":
        return "signup"
    user = User(email=request.form["email"].lower(), name=request.form.get("name", ""))
    user.set_password(request.form["password"])
    db.session.add(user)
    db.session.flush()
    account = Account.open(user)
    refill_if_due(account)
    give_welcome_credit(account)
    return sign_in(user)


@auth.route("/login", methods=["GET", "POST"])
@public
def login() -> ResponseReturnValue:
    if request.method == "GET":
        return "login"
    user = User.authenticate(request.form["email"], request.form["password"])
    return sign_in(user) if user else ("wrong", 200)


@auth.get("/settings")
def settings() -> str:
    return current_user.email


def sign_in(user: User) -> ResponseReturnValue:
    secret = UserSession.begin(user, user.memberships[0].account_id)
    db.session.commit()
    session.clear()
    session.permanent = True
    login_user(Caller.of_session(secret))
    return redirect(url_for("chat.show"))
