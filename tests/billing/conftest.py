"""The billing pages stand on the same app, sandbox and people as the payments behind them."""

from tests.payments.conftest import app, customer, environment, quick_passwords, sandbox, scenario

__all__ = ["app", "customer", "environment", "quick_passwords", "sandbox", "scenario"]
