"""The WSGI application that gunicorn and the `flask` command load; Flask marks the latter in the environment."""

import os
import sys

from app import create_app

IS_COMMAND = "FLASK_RUN_FROM_CLI" in os.environ
if IS_COMMAND:
    from app.cli import say_why

    sys.excepthook = say_why

app = create_app(has_commands=IS_COMMAND)
