"""The WSGI application with a crash point armed."""

from tests.support import crash
from wsgi import app

crash.arm()

__all__ = ["app"]
