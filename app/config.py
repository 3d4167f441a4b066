"""Configuration from the environment; a production that is configured by half does not start."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.db.postgres_address import is_pooled, is_postgres, postgres_url
from app.db.replica import REPLICA, replica_options
from app.db.sqlite import TurnConnection

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
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

MAIL_PORTS = {"smtp": 25, "smtps": 465, "smtp+tls": 587}
MAIL_FORM = "must be smtp://, smtp+tls:// or smtps://, then user:password@host:port"
CELERY_WORD = re.compile(r"(ssl_cert_reqs=)CERT_(NONE|OPTIONAL|REQUIRED)")
FAMILY = re.compile(r"(?<=[?&])family=[046]&?|[?&]family=[046]$")
"""Which kind of address to look for, as ioredis wants it: redis-py looks for both."""

STRIPE_API = "https://api.stripe.com"
SHORTEST_SECRET = 32
SHORTEST_TOKEN = 16
LARGEST_REQUEST = 12 * 1024 * 1024


class ConfigurationError(Exception):
    """The environment cannot be run with; the message names the variable and the way out."""


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
        "APP_ENV": name,
        "ON_BY_DEFAULT": ON_BY_DEFAULT[name],
        "SECRET_KEY": environ.get("SECRET_KEY") or made_secret(),
        "BASE_URL": base_url.rstrip("/"),
        "TRUSTED_HOSTS": trusted_hosts(environ, base_url),
        "ADMIN_HOST": environ.get("ADMIN_HOST", "").lower(),
        "PROXY_COUNT": int(environ.get("PROXY_COUNT", "0")),
        "SQLALCHEMY_DATABASE_URI": database_url(environ),
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(environ),
        "SQLALCHEMY_BINDS": binds(environ),
        "REDIS_URL": redis_url(environ),
        "MAX_CONTENT_LENGTH": LARGEST_REQUEST,
        "SESSION_COOKIE_NAME": "__Host-session" if is_secure else "session",
        "SESSION_COOKIE_SECURE": is_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PATH": "/",
        "PERMANENT_SESSION_LIFETIME": 60 * 60 * 24 * 30,
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_HEADERS": ["X-CSRFToken"],
        "BABEL_DEFAULT_LOCALE": "en_US",
        **mail_settings(environ),
        **stripe_settings(environ, name),
        **rate_limits(environ),
        **oidc_settings(environ),
        "WEB_THREADS": int(environ.get("WEB_THREADS", "264")),
        "SENTRY_DSN": environ.get("SENTRY_DSN"),
        "METRICS_TOKEN": environ.get("METRICS_TOKEN", ""),
        "LOG_LEVEL": environ.get("LOG_LEVEL", "INFO").upper(),
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
        raise ConfigurationError(
            "DATABASE_URL is SQLite on a disk that is wiped at each restart: use PostgreSQL."
        )
    if environ.get("STRIPE_API_BASE", STRIPE_API) != STRIPE_API:
        raise ConfigurationError(
            "STRIPE_API_BASE: production talks to Stripe itself; sandbox payments are off."
        )


def made_secret() -> str:
    """A secret that is made once and kept in `instance/`: development only."""
    path = INSTANCE / "secret_key"
    if not path.exists():
        INSTANCE.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text()


def database_url(environ: Mapping[str, str]) -> str:
    return driver_url("DATABASE_URL", environ.get("DATABASE_URL") or f"sqlite:///{INSTANCE / 'tollgate.db'}")


def binds(environ: Mapping[str, str]) -> dict[str, Any]:
    """The replica, where one is named."""
    replica = environ.get("DATABASE_REPLICA_URL", "")
    if not replica:
        return {}
    if not is_postgres(replica) or not database_url(environ).startswith("postgresql"):
        raise ConfigurationError(
            "DATABASE_REPLICA_URL is for PostgreSQL: a standby of DATABASE_URL's server."
        )
    return {REPLICA: replica_options(driver_url("DATABASE_REPLICA_URL", replica))}


def driver_url(variable: str, url: str) -> str:
    """The address as SQLAlchemy reads it, with the driver that we use."""
    if is_postgres(url):
        try:
            return postgres_url(url)
        except (ArgumentError, ValueError) as fault:
            raise unusable(variable, fault) from None
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        return f"sqlite:///{ROOT / url.removeprefix('sqlite:///')}"
    return url


def unusable(variable: str, fault: Exception) -> ConfigurationError:
    """Without what was quoted: it may be a part of a password."""
    told = re.sub("'.*'", "(...)", str(fault))
    return ConfigurationError(f"{variable} cannot be used: {told}.")


def engine_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """A small pool: no connection is held while a provider speaks, and more at once than the processors can serve only
    keep the running streams waiting. PgBouncer has no prepared statements."""
    options: dict[str, Any] = {"pool_size": 6, "max_overflow": 0, "pool_timeout": 30, "hide_parameters": True}
    if database_url(environ).startswith("sqlite"):
        options["connect_args"] = {"factory": TurnConnection}
    else:
        has_bouncer = environ.get("PGBOUNCER") == "1" or is_pooled(environ.get("DATABASE_URL", ""))
        pooled = {"prepare_threshold": None} if has_bouncer else {}
        options["connect_args"] = {"tcp_user_timeout": 30_000, "keepalives_idle": 30, **pooled}
    return options


def cert_reqs(variable: str, environ: Mapping[str, str]) -> str:
    """Whether a server's certificate must be one that this machine trusts: `none`, or not."""
    checked = environ.get(variable, "")
    if checked not in {"", "required", "optional", "none"}:
        raise ConfigurationError(f"{variable} is {checked!r}; it must be required, optional or none.")
    return checked


def redis_url(environ: Mapping[str, str]) -> str:
    """As redis-py reads it. A certificate that the server of `rediss://` signed itself is allowed by
    REDIS_SSL_CERT_REQS=none, since platforms give addresses that cannot be edited; or within the address, by Celery's
    word for it too. What other clients need there is left out."""
    url = environ.get("REDIS_URL") or f"unix://{INSTANCE / 'redis.sock'}"
    url = CELERY_WORD.sub(lambda word: word[1] + word[2].lower(), url)
    url = FAMILY.sub("", url)
    checked = cert_reqs("REDIS_SSL_CERT_REQS", environ)
    if checked and url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
        url = f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs={checked}"
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (TypeError, ValueError, redis.RedisError) as fault:
        raise unusable("REDIS_URL", fault) from None
    return url


def trusted_hosts(environ: Mapping[str, str], base_url: str) -> list[str]:
    listed = environ.get("TRUSTED_HOSTS", "")
    own = urlsplit(base_url).hostname or "127.0.0.1"
    hosts = [host.strip() for host in listed.split(",") if host.strip()] or [own]
    local = {"127.0.0.1", "localhost"}
    return sorted({*hosts, *local}) if own in local else hosts


def mail_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Flask-Mailman's settings from `MAIL_URL`; without it mails become files in `instance/mail/`.

    `smtps://` speaks TLS from the first byte, `smtp+tls://` after STARTTLS, as `smtp://` does at port 587.
    """
    sender = environ.get("MAIL_FROM") or "Tollgate <no-reply@localhost>"
    address = environ.get("MAIL_URL", "").strip()
    if not address:
        folder = str(INSTANCE / "mail")
        return {"MAIL_BACKEND": "file", "MAIL_FILE_PATH": folder, "MAIL_DEFAULT_SENDER": sender}
    url = mail_url(address)
    is_tls = url.drivername == "smtps"
    port = url.port or MAIL_PORTS[url.drivername]
    return {
        "MAIL_BACKEND": "app.mail_server",
        "MAIL_SERVER": url.host,
        "MAIL_PORT": port,
        "MAIL_USERNAME": url.username,
        "MAIL_PASSWORD": url.password,
        "MAIL_USE_SSL": is_tls,
        "MAIL_USE_TLS": not is_tls and (url.drivername == "smtp+tls" or port == 587),
        "MAIL_IS_VERIFIED": cert_reqs("MAIL_SSL_CERT_REQS", environ) != "none",
        "MAIL_TIMEOUT": 20,
        "MAIL_DEFAULT_SENDER": sender,
    }


def mail_url(address: str) -> URL:
    """Read as SQLAlchemy reads addresses: with percent-encoded characters, and IPv6."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"MAIL_URL {MAIL_FORM}.") from None
    if url.drivername not in MAIL_PORTS:
        raise ConfigurationError(f"MAIL_URL begins with {url.drivername}://. It {MAIL_FORM}.")
    if not url.host or "@" in url.host or url.query or url.database:
        raise ConfigurationError(f"MAIL_URL {MAIL_FORM}, and nothing after it.")
    return url


def stripe_settings(environ: Mapping[str, str], name: str) -> dict[str, Any]:
    secrets_in_rotation = environ.get("STRIPE_WEBHOOK_SECRET", "").split(",")
    return {
        "STRIPE_SECRET_KEY": environ.get("STRIPE_SECRET_KEY"),
        "STRIPE_API_BASE": environ.get("STRIPE_API_BASE") or STRIPE_API,
        "STRIPE_WEBHOOK_SECRETS": [secret.strip() for secret in secrets_in_rotation if secret.strip()],
    }


def oidc_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Who signs people in, besides passwords: all three variables, or none."""
    names = "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"
    values = {name: environ.get(name, "").rstrip("/") for name in names}
    if any(values.values()) and not all(values.values()):
        missing = next(name for name in names if not values[name])
        raise ConfigurationError(f"{missing} is missing: {', '.join(names)} belong together.")
    return {**values, "OIDC_NAME": environ.get("OIDC_NAME") or "single sign-on"}


def rate_limits(environ: Mapping[str, str]) -> dict[str, Any]:
    """Counted in Redis; where Redis is away, in each process."""
    return {
        "RATELIMIT_STORAGE_URI": redis_url(environ).replace("unix://", "redis+unix://"),
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        "RATELIMIT_SWALLOW_ERRORS": True,
        "RATELIMIT_HEADERS_ENABLED": True,
        "RATELIMIT_STRATEGY": "moving-window",
    }
