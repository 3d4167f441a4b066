"""Plans, balances and payments: the pages, and the jobs that move money."""

from flask import Flask

from app.billing import routes


def init_app(app: Flask) -> None:
    app.register_blueprint(routes.billing)
