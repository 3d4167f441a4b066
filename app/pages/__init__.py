"""Pages for everybody, the support, and the answers for machines that watch."""

from app.pages import support
from app.pages.views import init_app

__all__ = ["init_app", "support"]
