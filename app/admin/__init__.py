"""The back office."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Bind the admin to the application."""
