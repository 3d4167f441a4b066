"""A production that is configured by half does not start. security.md 21."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.addresses import ConfigurationError
from app.config import from_environment, secrets_in_files
from app.extensions import db
from tests.auth.conftest import Browser
from tests.conftest import app_in, close
from tests.support.databases import Databases

WHOLE = {
    "APP_ENV": "production",
    "SECRET_KEY": "s" * 32,
    "DATABASE_URL": "postgresql://db/tollgate",
    "REDIS_URL": "redis://redis/0",
    "BASE_URL": "https://tollgate.example",
}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "s" * 31}, "SECRET_KEY"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"BASE_URL": ""}, "BASE_URL"),
        ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG"),
        ({"STRIPE_API_BASE": "http://127.0.0.1:4242"}, "STRIPE_API_BASE"),
        ({"DYNO": "web.1", "DATABASE_URL": "sqlite:////app/tollgate.db"}, "DATABASE_URL"),
        ({"APP_ENV": "prod"}, "APP_ENV"),
        ({"DATABASE_URL": "mysql://db/tollgate"}, "DATABASE_URL"),
        ({"BASE_URL": "tollgate.example"}, "BASE_URL"),
        ({"BASE_URL": "https://tollgate.example/app"}, "BASE_URL"),
        ({"BASE_URL": "https://[::1"}, "BASE_URL"),
        ({"PROXY_COUNT": "one"}, "PROXY_COUNT"),
        ({"WEB_THREADS": "0"}, "WEB_THREADS"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"RATELIMIT_ENABLED": "false"}, "RATELIMIT_ENABLED"),
        ({"TRUSTED_HOSTS": "https://tollgate.example"}, "TRUSTED_HOSTS"),
        ({"ADMIN_HOST": "admin.example"}, "ADMIN_HOST"),
        ({"MAIL_FROM": "Tollgate"}, "MAIL_FROM"),
        ({"MAIL_FROM": "Müller, Help <help@tollgate.example>"}, "MAIL_FROM"),
        ({"OIDC_ISSUER": "id.example", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b"}, "OIDC_ISSUER"),
    ],
)
def test_an_unfit_variable_is_named(change: dict[str, str], named: str) -> None:
    assert from_environment(WHOLE)["SESSION_COOKIE_SECURE"]
    with pytest.raises(ConfigurationError, match=named):
        from_environment(WHOLE | change)


def test_a_machine_of_ones_own_trusts_its_other_name() -> None:
    local = {"BASE_URL": "http://127.0.0.1:5000", "ADMIN_HOST": "localhost:5000"}
    assert from_environment(WHOLE | local)["TRUSTED_HOSTS"] == ["127.0.0.1", "localhost"]


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    empty = dict.fromkeys(("PROXY_COUNT", "WEB_THREADS", "LOG_LEVEL", "RATELIMIT_ENABLED", "MAIL_FROM"), "")
    assert from_environment(WHOLE | empty) == from_environment(WHOLE)


def test_secrets_may_stand_in_files(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of a file\n")
    for name in ("SECRET_KEY", "STRIPE_SECRET_KEY", "ANOTHER_API_KEY"):
        assert secrets_in_files({f"{name}_FILE": str(path)}) == {name: "of a file"}
    assert secrets_in_files({"SSL_CERT_FILE": str(path), "APP_ENV_FILE": str(path), "MAIL_URL_FILE": ""}) == {}
    with pytest.raises(ConfigurationError, match="SECRET_KEY_FILE"):
        secrets_in_files({"SECRET_KEY_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigurationError, match="differ"):
        secrets_in_files({"SECRET_KEY_FILE": str(path), "SECRET_KEY": "another"})


@pytest.mark.databases("postgresql")
def test_the_app_serves_as_a_database_user_who_changes_no_table(
    environment: dict[str, str], all_databases: Databases, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the statements of the guide."""
    guide = Path("docs/deploy.md").read_text()
    name = database_url.rpartition("/")[2]
    server, grants = all_databases.postgres, re.search(r"```sql\n(CREATE ROLE.*?)```", guide, re.DOTALL)
    server.execute(grants[1], database=name)
    served = environment | {"DATABASE_URL": database_url.replace("postgres@", "tollgate_app@")}
    app = app_in(monkeypatch, served)
    try:
        browser = Browser(app.test_client())
        assert browser.sign_up("ada").status_code == 302
        sent = {"model": "demo-smart", "content": "hello"}
        asked = browser.client.post("/api/chats", json=sent, headers={"X-CSRFToken": browser.token()})
        assert (asked.status_code, "event: done" in asked.text) == (200, True)
        assert browser.get("/readyz").status_code == 200
        with app.app_context(), pytest.raises(ProgrammingError, match="must be owner"):
            db.session.execute(text("ALTER TABLE users ADD COLUMN more INTEGER"))
    finally:
        close(app)
        server.execute("DROP OWNED BY tollgate_app; DROP ROLE tollgate_app", database=name)
