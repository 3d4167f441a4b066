"""People and teams: sign-up, sign-in, passwords, verification, settings, members."""

from flask import Flask

from app.auth import invitations, settings, teams
from app.auth import dev_mail
from app.web import access
from app.auth import guests
from app.auth import email_links
from app.auth import password_reset
from app.auth import signup_login
from app.auth.blueprint import auth


def init_app(app: Flask) -> None:
    access.init_guards(app)
    app.register_blueprint(auth)


__all__ = [
    "development",
    "guests",
    "init_app",
    "invitations",
    "mails",
    "recovery",
    "routes",
    "settings",
    "teams",
]
