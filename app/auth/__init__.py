"""Accounts of people: sign-up, sign-in, passwords, verification, settings, members."""

from flask import Flask

from app.auth import guards, routes


def init_app(app: Flask) -> None:
    guards.init_guards(app)
    app.register_blueprint(routes.auth)
