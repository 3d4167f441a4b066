"""People and teams: sign-up, sign-in, passwords, verification, settings, members."""

from flask import Flask

from app.auth import (
    brand,
    dev_mail,
    digests,
    email_links,
    guests,
    invitations,
    keys,
    limit_requests,
    oidc,
    own_data,
    passkeys,
    password_reset,
    settings,
    signup_login,
    teams,
    two_factor,
)
from app.web import access, rate_limits
from app.web.blueprints import auth


def init_app(app: Flask) -> None:
    access.init_guards(app)
    rate_limits.init_limits(app)
    oidc.init_oidc(app)
    app.register_blueprint(auth)
