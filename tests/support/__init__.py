"""What the tests stand on: real databases, Redis, processes, a browser, people. Their apps find templates compiled."""

from typing import Any

from flask import Flask
from flask_sqlalchemy.session import Session
from jinja2 import Environment, FileSystemBytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.orm import scoped_session

Database = scoped_session[Session]
"""What `session` of the fixtures is."""


class CompiledTemplates(FileSystemBytecodeCache):
    """By name and text, which Jinja looks at, and by whether values are finalized, as those of mails are."""

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        kept_as = f"{name} finalized" if environment.finalize else name
        return super().get_bucket(environment, kept_as, filename, source)


options: dict[str, Any] = Flask.jinja_options
options["bytecode_cache"] = CompiledTemplates()
