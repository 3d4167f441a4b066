"""Pages for everybody, and the answers for machines that watch."""

from app.pages.views import init_app

__all__ = ["init_app"]
