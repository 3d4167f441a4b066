"""Brings the local database up to date and seeds it, in one process; prints what the seed says."""

import sys

from flask_migrate import upgrade

from wsgi import app


def main() -> None:
    with app.app_context():
        upgrade()
    seeded = app.test_cli_runner().invoke(args=["seed"])
    if seeded.exception:
        raise seeded.exception
    sys.stdout.write(seeded.output)


if __name__ == "__main__":
    main()
