"""The account's own brand, for plans that have it: name, colour and logo of its members' pages."""

from flask import abort
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.auth.teams import done
from app.models.identity.account import Account
from app.models.identity.brand import Brand
from app.web.access import managers_only
from app.web.blueprints import auth
from app.web.branding import take_form


@auth.post("/account/brand")
@managers_only
def change_brand() -> ResponseReturnValue:
    """On a plan with custom branding."""
    if not current_user.account.plan.has_custom_branding:
        abort(403)
    Account.locked(current_user.account_id)
    take_form(Brand.of(current_user.account_id))
    return done("Your brand is saved.")
