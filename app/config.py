"""Configuration from the environment; a production that is configured by half does not start."""

import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.sansio.utils import host_is_trusted

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

FLAGS = ("REQUIRE_VERIFIED_EMAIL", "RATELIMIT_ENABLED", "PGBOUNCER")
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


def number(text: str, lowest: int = 1) -> int:
    if not text.isdecimal() or int(text) < lowest:
        raise ValueError(f"must be a whole number from {lowest} up")
    return int(text)


def log_level(text: str) -> str:
    if text.upper() not in logging.getLevelNamesMapping():
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


PLAIN: dict[str, tuple[str, Callable[[str], Any]]] = {
    "ADMIN_HOST": ("", str.lower),
    "PROXY_COUNT": ("0", partial(number, lowest=0)),
    "WEB_CONCURRENCY": ("2", number),
    "WEB_THREADS": ("264", number),
    "PORT": ("5000", number),
    "SENTRY_DSN": ("", str),
    "METRICS_TOKEN": ("", str),
    "LOG_LEVEL": ("INFO", log_level),
    "STRIPE_SECRET_KEY": ("", str),
    "STRIPE_API_BASE": ("", lambda base: base or STRIPE_API),
}
"""Variables that are read by themselves: what one is where it is not set or empty, and how it is read."""


def from_environment(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Flask's configuration from the variables of the interface. ConfigurationError where one is unfit."""
    environ = own_environment() if environ is None else environ
    name = environ.get("APP_ENV", "production")
    if name not in ENVIRONMENTS:
        raise ConfigurationError(f"APP_ENV is {name!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    if name == "production":
        refuse_unsafe(environ)
    for flag in FLAGS:
        if environ.get(flag, "") not in {"", "0", "1"}:
            raise ConfigurationError(f"{flag} is {environ[flag]!r}; it must be 0 or 1.")
    plain = {variable: read_plain(environ, variable) for variable in PLAIN}
    base_url = checked_base_url(environ.get("BASE_URL") or f"http://127.0.0.1:{plain['PORT']}")
    is_secure = name == "production"
    return {
        **FIXED,
        **plain,
        "APP_ENV": name,
        "ON_BY_DEFAULT": ON_BY_DEFAULT[name],
        "SECRET_KEY": environ.get("SECRET_KEY") or made_secret(),
        "BASE_URL": base_url,
        "TRUSTED_HOSTS": trusted_hosts(environ, base_url, plain["ADMIN_HOST"]),
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


def read_plain(environ: Mapping[str, str], variable: str) -> Any:
    default, read = PLAIN[variable]
    try:
        return read(environ.get(variable) or default)
    except ValueError as fault:
        raise ConfigurationError(f"{variable} is {environ[variable]!r}; it {fault}.") from None


def checked_base_url(address: str) -> str:
    """Without the slash at its end. ConfigurationError where links that begin with it would lead nowhere."""
    try:
        parts = urlsplit(address)
        is_fit = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0
    except ValueError:
        is_fit = False
    if not is_fit or parts.path.strip("/") or parts.query or parts.fragment or re.search(r"\s|@", address):
        raise ConfigurationError(f"BASE_URL is {address!r}; it must be like https://chat.example.com, without a path.")
    return address.rstrip("/")


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


def trusted_hosts(environ: Mapping[str, str], base_url: str, admin_host: str) -> list[str]:
    own, local = urlsplit(base_url).hostname or "", ["127.0.0.1", "localhost"]
    hosts = listed(environ, "TRUSTED_HOSTS") or [own]
    hosts = sorted({*hosts, *local}) if own in local else hosts
    if wrong := [host for host in hosts if re.search(r"[^\w.:\[\]-]", host)]:
        raise ConfigurationError(f"TRUSTED_HOSTS has {wrong[0]!r}; it must be names of hosts, with commas between.")
    if admin_host and not host_is_trusted(admin_host, hosts):
        raise ConfigurationError(f"ADMIN_HOST is {admin_host!r}; it must be among TRUSTED_HOSTS.")
    return hosts


def oidc_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Who signs people in, besides passwords: all three variables, or none."""
    names = "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"
    values = {name: environ.get(name, "").rstrip("/") for name in names}
    if any(values.values()) and not all(values.values()):
        missing = next(name for name in names if not values[name])
        raise ConfigurationError(f"{missing} is missing: {', '.join(names)} belong together.")
    if any(values.values()) and not values["OIDC_ISSUER"].startswith(("https://", "http://")):
        raise ConfigurationError("OIDC_ISSUER must begin with https://.")
    return {**values, "OIDC_NAME": environ.get("OIDC_NAME") or "single sign-on"}
