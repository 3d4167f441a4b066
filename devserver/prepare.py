"""Brings the local database up to date and seeds it, in one process; prints what the seed says of the admin."""

import sys

from flask_migrate import upgrade

from app import create_app
from app.models.identity.user import User
from devserver.ports import INSTANCE

FIRST_ADMIN = INSTANCE / "first-admin"
"""That line, until the password in it is changed."""


def remembered_admin() -> str:
    """The line, where the password in it still signs in; else it is forgotten."""
    line = FIRST_ADMIN.read_text() if FIRST_ADMIN.exists() else ""
    match line.split():
        case [_, email, password] if (person := User.with_email(email)) and person.has_password(password):
            return line
    FIRST_ADMIN.unlink(missing_ok=True)
    return ""


if __name__ == "__main__":
    app = create_app()
    with app.app_context():
        upgrade()
        if seeded := app.test_cli_runner().invoke(args=["seed"], catch_exceptions=False).output:
            FIRST_ADMIN.touch(mode=0o600)
            FIRST_ADMIN.write_text(seeded)
        sys.stdout.write(remembered_admin())
