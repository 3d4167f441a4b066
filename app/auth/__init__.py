"""People and teams: sign-up, sign-in, passwords, verification, settings, members."""

from flask import Flask

from app.auth import development, guards, guests, invitations, mails, recovery, routes, settings, teams
from app.auth.blueprint import auth


def init_app(app: Flask) -> None:
    guards.init_guards(app)
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
