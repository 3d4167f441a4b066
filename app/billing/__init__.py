"""Plans, balances and payments: the pages, Stripe's webhooks, and the jobs that move money."""

from flask import Flask

from app.billing import plan_pages, purchase_pages, routes, transaction_pages, usage_pages, webhooks
from app.billing.blueprint import billing


def init_app(app: Flask) -> None:
    app.register_blueprint(billing)
    app.register_blueprint(webhooks.webhooks)


__all__ = ["init_app", "plan_pages", "purchase_pages", "routes", "transaction_pages", "usage_pages"]
