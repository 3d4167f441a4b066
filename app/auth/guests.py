"""The button that makes a visitor a guest, where the admin allows it."""

import secrets

from flask import redirect, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.extensions import db
from app.models.identity.guest_account import accepts_guests, open_guest_account
from app.web.access import GUEST, public
from app.web.blueprints import auth


@auth.post("/try")
@public
def try_out() -> ResponseReturnValue:
    """A visitor becomes a guest, where guests are welcome."""
    if not current_user.is_authenticated and accepts_guests():
        open_guest_account()
        db.session.commit()
        session.setdefault(GUEST, secrets.token_urlsafe(24))
        session.permanent = True
    return redirect(url_for("chat.show"))
