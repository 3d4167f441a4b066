"""Configuration from the environment; a production that is configured by half does not start."""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.addresses import (
    INSTANCE,
    ConfigurationError,
    binds,
    database_url,
    engine_options,
    mail_settings,
    redis_url,
)

ENVIRONMENTS = ("production", "development", "test")
ON_BY_DEFAULT = {
    "production": {"require_verified_email", "ratelimit_enabled"},
    "test": {"require_verified_email"},
    "development": {"guests_allowed"},
}
"""The settings that are on where neither the environment nor an admin says otherwise."""

REQUIRED = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BASE_URL")
SECRETS = {
    *("SECRET_KEY", "DATABASE_URL", "DATABASE_REPLICA_URL", "REDIS_URL", "MAIL_URL", "SENTRY_DSN"),
    *("METRICS_TOKEN",),
    *("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "OIDC_CLIENT_SECRET", "ADMIN_PASSWORD"),
}
"""What may stand in a file: these, and every provider's `*_API_KEY`."""

STRIPE_API = "https://api.stripe.com"
SHORTEST_SECRET = 32
SHORTEST_TOKEN = 16
LARGEST_REQUEST = 12 * 1024 * 1024
FIXED: dict[str, Any] = {
    "MAX_CONTENT_LENGTH": LARGEST_REQUEST,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_COOKIE_PATH": "/",
    "PERMANENT_SESSION_LIFETIME": 60 * 60 * 24 * 30,
    "WTF_CSRF_TIME_LIMIT": None,
    "WTF_CSRF_HEADERS": ["X-CSRFToken"],
    "BABEL_DEFAULT_LOCALE": "en_US",
    "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
    "RATELIMIT_SWALLOW_ERRORS": True,
    "RATELIMIT_HEADERS_ENABLED": True,
    "RATELIMIT_STRATEGY": "moving-window",
}
"""Requests are counted in Redis; where Redis is away, in each process."""

PLAIN: dict[str, tuple[str, Callable[[str], Any]]] = {
    "ADMIN_HOST": ("", str.lower),
    "PROXY_COUNT": ("0", int),
    "WEB_THREADS": ("264", int),
    "SENTRY_DSN": ("", str),
    "METRICS_TOKEN": ("", str),
    "LOG_LEVEL": ("INFO", str.upper),
    "STRIPE_SECRET_KEY": ("", str),
    "STRIPE_API_BASE": ("", lambda base: base or STRIPE_API),
}
"""Variables that are read by themselves: what one is where it is not set, and how it is read."""


def from_environment(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Flask's configuration from the variables of the interface. ConfigurationError where one is unfit."""
    environ = own_environment() if environ is None else environ
    name = environ.get("APP_ENV", "production")
    if name not in ENVIRONMENTS:
        raise ConfigurationError(f"APP_ENV is {name!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    if name == "production":
        refuse_unsafe(environ)
    base_url = environ.get("BASE_URL") or f"http://127.0.0.1:{environ.get('PORT', '5000')}"
    is_secure = name == "production"
    return {
        **FIXED,
        **{variable: read(environ.get(variable, default)) for variable, (default, read) in PLAIN.items()},
        "APP_ENV": name,
        "ON_BY_DEFAULT": ON_BY_DEFAULT[name],
        "SECRET_KEY": environ.get("SECRET_KEY") or made_secret(),
        "BASE_URL": base_url.rstrip("/"),
        "TRUSTED_HOSTS": trusted_hosts(environ, base_url),
        "REDIS_URL": redis_url(environ),
        "RATELIMIT_STORAGE_URI": redis_url(environ).replace("unix://", "redis+unix://"),
        "SESSION_COOKIE_NAME": "__Host-session" if is_secure else "session",
        "SESSION_COOKIE_SECURE": is_secure,
        "SQLALCHEMY_DATABASE_URI": database_url(environ),
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(environ),
        "SQLALCHEMY_BINDS": binds(environ),
        "STRIPE_WEBHOOK_SECRETS": listed(environ, "STRIPE_WEBHOOK_SECRET"),
        **mail_settings(environ),
        **oidc_settings(environ),
    }


def own_environment() -> Mapping[str, str]:
    """The process's environment, with the secrets that are in files; in development over what `make run` decided (its
    Redis, its payments), so that a command beside it reaches the same."""
    os.environ.update(secrets_in_files(os.environ))
    decided = INSTANCE / "development.json"
    if os.environ.get("APP_ENV") != "development" or not decided.exists():
        return os.environ
    written: dict[str, str] = json.loads(decided.read_text())
    if os.environ.get("STRIPE_SECRET_KEY"):
        written = {name: value for name, value in written.items() if not name.startswith("STRIPE_")}
    return written | os.environ


def secrets_in_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The value of NAME from the file that NAME_FILE names, as containers are given secrets.

    ConfigurationError where it cannot be read, or where NAME itself says something else.
    """
    read = {}
    for variable, path in environ.items():
        name = variable.removesuffix("_FILE")
        if not path or name == variable or not (name in SECRETS or name.endswith("_API_KEY")):
            continue
        try:
            read[name] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{variable} names a file that cannot be read: {path}.") from error
        if environ.get(name, read[name]) != read[name]:
            raise ConfigurationError(f"{name} and {variable} are both set, and differ.")
    return read


def refuse_unsafe(environ: Mapping[str, str]) -> None:
    """What production may not start with."""
    for name in REQUIRED:
        if not environ.get(name):
            raise ConfigurationError(f"{name} is missing. Production needs {', '.join(REQUIRED)}.")
    if len(environ["SECRET_KEY"]) < SHORTEST_SECRET:
        raise ConfigurationError(f"SECRET_KEY is shorter than {SHORTEST_SECRET} characters.")
    if 0 < len(environ.get("METRICS_TOKEN", "")) < SHORTEST_TOKEN:
        raise ConfigurationError(f"METRICS_TOKEN is shorter than {SHORTEST_TOKEN} characters.")
    if environ.get("FLASK_DEBUG", "0") not in {"", "0", "false"}:
        raise ConfigurationError("FLASK_DEBUG is on; production runs without the debugger.")
    if environ.get("DYNO") and environ["DATABASE_URL"].startswith("sqlite"):
        raise ConfigurationError("DATABASE_URL is SQLite on a disk that is wiped at each restart: use PostgreSQL.")
    if environ.get("STRIPE_API_BASE", STRIPE_API) != STRIPE_API:
        raise ConfigurationError("STRIPE_API_BASE: production talks to Stripe itself; sandbox payments are off.")


def made_secret() -> str:
    """A secret that is made once and kept in `instance/`: development only."""
    path = INSTANCE / "secret_key"
    if not path.exists():
        INSTANCE.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text()


def listed(environ: Mapping[str, str], variable: str) -> list[str]:
    """What stands in a variable between commas."""
    return [one.strip() for one in environ.get(variable, "").split(",") if one.strip()]


def trusted_hosts(environ: Mapping[str, str], base_url: str) -> list[str]:
    own = urlsplit(base_url).hostname or "127.0.0.1"
    hosts = listed(environ, "TRUSTED_HOSTS") or [own]
    local = {"127.0.0.1", "localhost"}
    return sorted({*hosts, *local}) if own in local else hosts


def oidc_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Who signs people in, besides passwords: all three variables, or none."""
    names = "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"
    values = {name: environ.get(name, "").rstrip("/") for name in names}
    if any(values.values()) and not all(values.values()):
        missing = next(name for name in names if not values[name])
        raise ConfigurationError(f"{missing} is missing: {', '.join(names)} belong together.")
    return {**values, "OIDC_NAME": environ.get("OIDC_NAME") or "single sign-on"}
