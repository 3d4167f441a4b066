"""Plans, balances and payments: the pages, Stripe's webhook_view, and the jobs that move money."""

from flask import Flask

from app.billing import (
    breaker,
    overview,
    plans,
    promotion_codes,
    purchases,
    statements,
    transactions,
    usage,
    webhook_view,
    webhooks,
)
from app.web.blueprints import billing


def init_app(app: Flask) -> None:
    app.register_blueprint(billing)
    app.register_blueprint(webhook_view.webhooks)
