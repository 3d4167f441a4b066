"""A production that is configured by half does not start. security.md 21."""

from pathlib import Path

import pytest

from app.addresses import ConfigurationError
from app.config import from_environment, secrets_in_files

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
    ],
)
def test_an_unfit_variable_is_named(change: dict[str, str], named: str) -> None:
    assert from_environment(WHOLE)["SESSION_COOKIE_SECURE"]
    with pytest.raises(ConfigurationError, match=named):
        from_environment(WHOLE | change)


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
