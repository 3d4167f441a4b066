"""Plans, balances and payments: the pages, Stripe's webhook_view, and the jobs that move money."""

from flask import Flask

from app.billing import plans
from app.billing import purchases
from app.billing import overview
from app.billing import transactions
from app.billing import usage
from app.billing import webhook_view
from app.billing.blueprint import billing


def init_app(app: Flask) -> None:
    app.register_blueprint(billing)
    app.register_blueprint(webhook_view.webhooks)


__all__ = ["init_app", "plan_pages", "purchase_pages", "routes", "transaction_pages", "usage_pages"]
