"""The billing pages stand on the same app, sandbox and people as the payments behind them."""

from tests.payments.conftest import app, customer, environment, published, quick_passwords, sandbox, scenario

__all__ = ["app", "customer", "environment", "published", "quick_passwords", "sandbox", "scenario"]
