"""Brings the local database up to date and seeds it, in one process; prints what the seed says."""

import os
import sys

from flask_migrate import upgrade

from app.models.identity.user import User
from devserver.settings import INSTANCE
from wsgi import app

FIRST_ADMIN = INSTANCE / "first-admin"
"""The seed's line about the administrator, until that password is changed."""


def main() -> None:
    with app.app_context():
        upgrade()
        seeded = app.test_cli_runner().invoke(args=["seed"])
        if seeded.exception:
            raise seeded.exception
        if seeded.output:
            write_down(seeded.output)
        sys.stdout.write(remembered_admin())


def write_down(line: str) -> None:
    with open(os.open(FIRST_ADMIN, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(line)


def remembered_admin() -> str:
    """The line, where the password in it still signs in; else it is forgotten."""
    line = FIRST_ADMIN.read_text() if FIRST_ADMIN.exists() else ""
    match line.split():
        case [_, email, password] if (person := User.with_email(email)) and person.has_password(password):
            return line
    FIRST_ADMIN.unlink(missing_ok=True)
    return ""


if __name__ == "__main__":
    main()
