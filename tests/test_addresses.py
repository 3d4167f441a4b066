"""Addresses of databases, Redis and mail servers as platforms give them, tried against real servers."""

import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from flask import Flask
from sqlalchemy import make_url

from app import jobs, mailer
from app.addresses import ConfigurationError, database_url, engine_options, mail_settings, redis_url
from app.config import from_environment
from app.extensions import db
from app.models.operations.outbox import OutgoingMail
from app.worker import make_worker
from devserver import processes
from devserver.ports import free_port
from devserver.redis_server import find_redis_server
from tests.conftest import app_in, close
from tests.support.environment import app_environment

PASSWORD, WRITTEN = "p@ss/w%rd:1", "p%40ss%2Fw%25rd%3A1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that nobody but itself has signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = str(folder / "cert.pem"), str(folder / "key.pem")
    made = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run([*made, "-out", names[0], "-keyout", names[1]], check=True, capture_output=True)
    return names


@pytest.fixture(scope="module")
def tls_redis(certificate: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis by TLS, as a platform gives it."""
    port, (cert, key) = free_port(), certificate
    options = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key]
    options += ["--tls-auth-clients", "no", "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]
    folder = str(tmp_path_factory.mktemp("redis"))
    process = processes.start([str(find_redis_server()), *options, "--dir", folder], output=subprocess.DEVNULL)
    url = f"rediss://:{WRITTEN}@127.0.0.1:{port}"
    try:
        retry: Any = redis.retry.Retry(redis.backoff.ConstantBackoff(0.1), 100)
        with redis.Redis.from_url(f"{url}?ssl_cert_reqs=none", retry=retry) as connection:
            connection.ping()
        yield url
    finally:
        processes.stop(process)


def app_with(patch: pytest.MonkeyPatch, database: str, **environment: str) -> Flask:
    return app_in(patch, app_environment(DATABASE_URL=database, **environment))


def test_a_redis_with_its_own_certificate_carries_jobs_where_that_is_allowed(
    tls_redis: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"REDIS_URL": tls_redis, "REDIS_SSL_CERT_REQS": "none", "RATELIMIT_ENABLED": "1"}
    app = app_with(monkeypatch, database_url, **environment)
    with app.app_context():
        assert jobs.enqueue(jobs.JobName.SWEEP)
        worker = make_worker(app)
        assert worker.work(burst=True)
        assert "app.payments.jobs.sweep" in jobs.last_runs()
    client = app.test_client()
    assert client.get("/readyz").status_code == 200
    assert client.get("/login").status_code == 200
    close(app)


def test_without_leave_such_a_redis_is_not_ready(
    tls_redis: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_with(monkeypatch, database_url, REDIS_URL=tls_redis)
    assert app.test_client().get("/readyz").status_code == 503
    close(app)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"REDIS_URL": "redis://h/0", "REDIS_SSL_CERT_REQS": "none"}, "redis://h/0"),
        ({"REDIS_URL": "rediss://h/0?db=1", "REDIS_SSL_CERT_REQS": "none"}, "rediss://h/0?db=1&ssl_cert_reqs=none"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=required", "REDIS_SSL_CERT_REQS": "none"},
         "rediss://h?ssl_cert_reqs=required"),
        ({"REDIS_URL": "rediss://h"}, "rediss://h"),
        ({"REDIS_URL": "redis://[::1]:6379/0"}, "redis://[::1]:6379/0"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=CERT_NONE"}, "rediss://h?ssl_cert_reqs=none"),
        ({"REDIS_URL": "redis://default:p@redis.railway.internal:6379?family=0"},
         "redis://default:p@redis.railway.internal:6379"),
        ({"REDIS_URL": "redis://h?family=6&db=2"}, "redis://h?db=2"),
        ({"REDIS_URL": "redis://h/1?socket_timeout=5&health_check_interval=30"},
         "redis://h/1?socket_timeout=5&health_check_interval=30"),
    ],
)  # fmt: skip
def test_leave_is_added_to_an_address_by_tls_alone(given: dict[str, str], read: str) -> None:
    assert redis_url(given) == read


BROKEN = (
    "redis://h:port", "redis://h:999999", "redis+tls://h", "h:6379", "rediss://h?ssl_cert_reqs=no",
    "redis://h?tls=1", "redis://h?db=x",
)  # fmt: skip


@pytest.mark.parametrize("given", BROKEN)
def test_an_address_that_redis_py_cannot_use_is_named(given: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL cannot be used"):
        redis_url({"REDIS_URL": given})


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (redis_url, {"REDIS_URL": "redis://h:s3cret/and@more/n"}),
        (database_url, {"DATABASE_URL": "postgres://u@h:s3cret/n"}),
    ],
)
def test_no_part_of_a_password_stands_in_a_complaint(
    read: Callable[[Mapping[str, str]], str], given: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(given)
    assert "s3cret" not in str(raised.value)


def test_a_misspelt_leave_is_named() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_SSL_CERT_REQS"):
        redis_url({"REDIS_SSL_CERT_REQS": "no"})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("postgres://u:p%40ss%2Fw%25rd%3A1@h:5433/n?sslmode=require",
         {"user": "u", "password": PASSWORD, "host": "h", "port": 5433, "dbname": "n", "sslmode": "require"}),
        ("postgresql:///n?host=/var/run/postgresql", {"dbname": "n", "host": "/var/run/postgresql"}),
        ("postgresql+psycopg2://u@[::1]:5432/n", {"user": "u", "host": "::1", "port": 5432, "dbname": "n"}),
        ("postgresql://u@pooler.example:6543/n?pgbouncer=true&connection_limit=1&schema=public&supa=base-pooler.x",
         {"host": "pooler.example", "port": 6543, "dbname": "n"}),
        ("postgres://u:p@ep-1.neon.example/n?sslmode=require&channel_binding=require&options=endpoint%3Dep-1",
         {"channel_binding": "require", "options": "endpoint=ep-1"}),
        ("postgresql://u:p@one:5432,two:5433/n?target_session_attrs=read-write",
         {"host": "one,two", "port": "5432,5433", "target_session_attrs": "read-write"}),
        ("postgresql://u:p@/n?host=/cloudsql/project:region:one", {"host": "/cloudsql/project:region:one"}),
        ("postgresql://u%40tenant:p@h/n", {"user": "u@tenant"}),
    ],
)  # fmt: skip
def test_an_address_of_postgresql_is_read_by_sqlalchemy(given: str, read: dict[str, Any]) -> None:
    url = make_url(database_url({"DATABASE_URL": given}))
    dialect = url.get_dialect()()
    named = dialect.create_connect_args(url)[1]
    assert url.drivername == "postgresql+psycopg"
    assert {name: named[name] for name in read} == read


@pytest.mark.parametrize("given", ["postgres://u@h/n?schema=mine&foo=1", "postgres://u@h:port/n"])
def test_what_postgresql_does_not_know_is_named(given: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL cannot be used"):
        database_url({"DATABASE_URL": given})


def test_an_address_of_a_pgbouncer_asks_for_no_prepared_statements() -> None:
    asked = {"DATABASE_URL": "postgres://u@h/n?sslmode=require&pgbouncer=true"}

    assert engine_options(asked)["connect_args"]["prepare_threshold"] is None
    assert "prepare_threshold" not in engine_options({"DATABASE_URL": "postgres://u@h/n"})["connect_args"]


@pytest.mark.databases("postgresql")
def test_a_password_with_odd_characters_and_sslmode_reach_a_real_server(
    database_url: str, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    host = database_url.partition("?")[2]
    joined = f"{database_url}{'&' if host else '?'}sslmode=prefer&application_name=a%25b%40c"
    app = app_with(monkeypatch, joined.replace("postgresql+psycopg://", "postgres://"), REDIS_URL=redis_url)
    with app.app_context():
        assert db.session.execute(db.text("SHOW application_name")).scalar() == "a%b@c"
    done = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert done.exit_code == 0, done.output
    close(app)


@pytest.mark.parametrize(
    ("given", "port", "is_tls", "starts_tls"),
    [
        ("smtp://h", 25, False, False),
        ("smtp://h:587", 587, False, True),
        ("smtps://h", 465, True, False),
        ("smtps://h:587", 587, True, False),
        ("smtp://[::1]:2525", 2525, False, False),
        ("smtp+tls://h:2525", 2525, False, True),
        ("smtp://ada@example.com:p/w#x@h:587", 587, False, True),
    ],
)
def test_an_address_of_a_mail_server_says_how_tls_begins(given: str, port: int, is_tls: bool, starts_tls: bool) -> None:
    made = mail_settings({"MAIL_URL": given})
    assert (made["MAIL_PORT"], made["MAIL_USE_SSL"], made["MAIL_USE_TLS"]) == (port, is_tls, starts_tls)
    assert made["MAIL_SERVER"] in {"h", "::1"}


NO_MAIL_SERVERS = (
    "https://mail.example", "mail.example:587", "smtp://h:a", "smtp://:25", "smtp://u:p@h@x", "smtp://h?tls=1",
)  # fmt: skip


@pytest.mark.parametrize("given", NO_MAIL_SERVERS)
def test_an_address_that_is_no_mail_servers_is_named(given: str) -> None:
    with pytest.raises(ConfigurationError, match="MAIL_URL"):
        from_environment({"APP_ENV": "test", "MAIL_URL": given})


class MailServer(Controller):
    """Takes the mails of who knows the password, over TLS where it has a certificate."""

    def __init__(self, certificate: tuple[str, str] | None = None, *, starts_tls: bool = False) -> None:
        self.names: list[str] = []
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
        tls: dict[str, Any] = {"ssl_context": context, "auth_require_tls": False}
        if starts_tls:
            tls = {"tls_context": context, "require_starttls": True}
        super().__init__(object(), hostname="127.0.0.1", port=free_port(), authenticator=self.knows, **tls)

    def knows(self, _server: Any, _session: Any, _envelope: Any, _kind: str, login: LoginPassword) -> AuthResult:
        self.names.append(login.login.decode())
        return AuthResult(success=login.password.decode() == PASSWORD)


def is_sent(app: Flask) -> bool:
    """Whether a mail leaves."""
    told = {"limit": "50", "plan": "Free", "billing_url": "http://127.0.0.1/", "account_name": "b"}
    with app.app_context():
        mailer.post("k", "bob@example.com", "daily_limit", **told)
        db.session.commit()
        mail_id = db.session.query(OutgoingMail).one().id
        mailer.deliver(mail_id)
        return db.session.get_one(OutgoingMail, mail_id).sent_at is not None


@pytest.mark.parametrize(
    ("scheme", "trust"),
    [
        ("smtp", None),
        ("smtps", "SSL_CERT_FILE"),
        ("smtps", "MAIL_SSL_CERT_REQS"),
        ("smtps", None),
        ("smtp+tls", "SSL_CERT_FILE"),
        ("smtp+tls", None),
    ],
)
def test_a_mail_goes_by_tls_to_a_server_that_is_trusted_and_tells_no_other_a_password(
    scheme: str, trust: str | None, certificate: tuple[str, str], database_url: str, redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    is_plain = scheme == "smtp"
    server = MailServer(None if is_plain else certificate, starts_tls=scheme == "smtp+tls")
    server.start()
    address = f"{scheme}://ada%40example.com:{WRITTEN}@127.0.0.1:{server.port}"
    own = {"REDIS_URL": redis_url, "MAIL_URL": address}
    if trust == "SSL_CERT_FILE":
        monkeypatch.setenv(trust, certificate[0])
    elif trust:
        own[trust] = "none"
    app = app_with(monkeypatch, database_url, **own)

    assert is_sent(app) == (is_plain or trust is not None)
    assert server.names == (["ada@example.com"] if is_plain or trust else [])
    server.stop()
    close(app)
