"""The WSGI application that gunicorn and the `flask` command load; Flask marks the latter in the environment."""

import os

from app import create_app

app = create_app(has_commands="FLASK_RUN_FROM_CLI" in os.environ)
