"""When the session's cookie goes out."""

from __future__ import annotations

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin


class SessionCookies(SecureCookieSessionInterface):
    """The cookie goes out where it changed, and with a page that was gone to: thirty days from the last of those.

    Flask's own goes out with each answer, so one to a script that comes late takes back what a newer one wrote: a
    notice, or a whole sign-in.
    """

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        return session.modified or (session.permanent and is_navigation())


def is_navigation() -> bool:
    """A page that the browser goes to, not what a page or a script fetches (https://www.w3.org/TR/fetch-metadata/)."""
    return request.headers.get("Sec-Fetch-Mode") == "navigate"
