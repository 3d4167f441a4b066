"""The addresses of databases, Redis and the mail server, as platforms write them, read from the environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.db.fair_pool import FairPool
from app.db.postgres_address import is_pooled, is_postgres, postgres_url
from app.db.replica import REPLICA, replica_options
from app.db.sqlite import TurnConnection

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
MAIL_PORTS = {"smtp": 25, "smtps": 465, "smtp+tls": 587}
MAIL_FORM = "must be smtp://, smtp+tls:// or smtps://, then user:password@host:port"
CELERY_WORD = re.compile(r"(ssl_cert_reqs=)CERT_(NONE|OPTIONAL|REQUIRED)")
SENDER = re.compile(r'(("[^"\r\n]*"|[^<>",:@\r\n]*) *<[^\s<>@,]+@[^\s<>@,]+>)|([^\s<>@,]+@[^\s<>@,]+)')
FAMILY = re.compile(r"(?<=[?&])family=[046]&?|[?&]family=[046]$")
"""Which kind of address to look for, as ioredis wants it: redis-py looks for both."""


class ConfigurationError(Exception):
    """The environment cannot be run with; the message names the variable and the way out."""


def database_url(environ: Mapping[str, str]) -> str:
    return driver_url("DATABASE_URL", environ.get("DATABASE_URL") or f"sqlite:///{INSTANCE / 'tollgate.db'}")


def binds(environ: Mapping[str, str]) -> dict[str, Any]:
    """The replica, where one is named."""
    replica = environ.get("DATABASE_REPLICA_URL", "")
    if not replica:
        return {}
    if not is_postgres(replica) or not database_url(environ).startswith("postgresql"):
        raise ConfigurationError("DATABASE_REPLICA_URL is for PostgreSQL: a standby of DATABASE_URL's server.")
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
    if not url.startswith("sqlite:"):
        raise ConfigurationError(f"{variable} must begin with postgresql:// or sqlite:///.")
    return url


def unusable(variable: str, fault: Exception) -> ConfigurationError:
    """Without what was quoted: it may be a part of a password."""
    told = re.sub("'.*'", "(...)", str(fault))
    return ConfigurationError(f"{variable} cannot be used: {told}.")


def engine_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """A small pool: no connection is held while a provider speaks, and more at once than the processors can serve only
    keep the running streams waiting; where all of them wait for a lock, the next request is refused within seconds.
    Of PostgreSQL's the one that came back last goes first, whose server process is warm.
    PgBouncer has no prepared statements."""
    options: dict[str, Any] = {"pool_size": 6, "max_overflow": 0, "pool_timeout": 10, "hide_parameters": True}
    if database_url(environ).startswith("sqlite"):
        options |= {"pool_timeout": 30, "connect_args": {"factory": TurnConnection}}
    else:
        has_bouncer = environ.get("PGBOUNCER") == "1" or is_pooled(environ.get("DATABASE_URL", ""))
        pooled = {"prepare_threshold": None} if has_bouncer else {}
        options |= {"poolclass": FairPool, "pool_use_lifo": True}
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


def mail_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Flask-Mailman's settings from `MAIL_URL`; without it mails become files in `instance/mail/`.

    `smtps://` speaks TLS from the first byte, `smtp+tls://` after STARTTLS, as `smtp://` does at port 587.
    """
    sender = environ.get("MAIL_FROM", "").strip() or "Tollgate <no-reply@localhost>"
    if not SENDER.fullmatch(sender):
        raise ConfigurationError(f"MAIL_FROM is {sender!r}; it must be like Tollgate <billing@example.com>.")
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
