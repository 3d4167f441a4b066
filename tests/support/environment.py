"""The environment that the app reads in the tests: nothing of the developer's own gets in."""

import os
from collections.abc import Mapping

import pytest

ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "a-long-admin-password"
SECRET_KEY = "only-for-tests-" + "0123456789abcdef" * 3
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
NO_PROXY_ANSWERS_HERE = "http://127.0.0.1:9"

OWN = (
    "APP_ENV", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "PORT", "WEB_CONCURRENCY", "WEB_THREADS",
    "TRUSTED_HOSTS", "PROXY_COUNT", "BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY", "DEEPSEEK_API_KEY", "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "ADMIN_EMAIL", "ADMIN_PASSWORD", "MAIL_URL", "MAIL_FROM",
    "MAIL_SSL_CERT_REQS", "REDIS_SSL_CERT_REQS",
    "REQUIRE_VERIFIED_EMAIL", "RATELIMIT_ENABLED", "SENTRY_DSN", "LOG_LEVEL", "DYNO",
    "METRICS_TOKEN", "PGBOUNCER", "FLASK_DEBUG", "FLASK_APP", "PRICE_DATA", "PRICE_DATA_SECOND",
    "XAI_API_KEY", "MISTRAL_API_KEY", "MOONSHOT_API_KEY", "DASHSCOPE_API_KEY", "ZAI_API_KEY",
)  # fmt: skip
"""Every variable that the app reads."""

SWITCHES = {name: os.environ[name] for name in ("PGBOUNCER",) if name in os.environ}
"""`PGBOUNCER=1 python -m pytest tests/billing`: all tests on PostgreSQL reach it through a PgBouncer."""


def app_environment(**changes: str) -> dict[str, str]:
    """The app's own variables for a test; `changes` add to them."""
    return {
        "APP_ENV": "test",
        "SECRET_KEY": SECRET_KEY,
        "BASE_URL": "http://127.0.0.1",
        "TRUSTED_HOSTS": "127.0.0.1,localhost",
        "MAIL_FROM": "tollgate@example.com",
        "ADMIN_EMAIL": ADMIN_EMAIL,
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        "LOG_LEVEL": "INFO",
        "REQUIRE_VERIFIED_EMAIL": "0",
        **SWITCHES,
    } | changes


def set_environment(patch: pytest.MonkeyPatch, own: Mapping[str, str]) -> None:
    """Put this process into the environment `own`, and take the developer's own variables out of it."""
    for name in OWN:
        patch.delenv(name, raising=False)
    for name, value in own.items():
        patch.setenv(name, value)


def process_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a process of the app is started with: `own`, the machine's PATH and the like, and no way out.

    A request to anything but loopback is sent to a proxy that does not exist.
    """
    machine = {name: value for name, value in os.environ.items() if name not in OWN}
    no_way_out = dict.fromkeys(PROXIES, NO_PROXY_ANSWERS_HERE)
    return machine | no_way_out | {"NO_PROXY": "127.0.0.1,localhost"} | dict(own)
