"""When the session cookie is sent."""

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class SessionCookies(SecureCookieSessionInterface):
    """The cookie goes out where it changed, and with a page that was gone to: thirty days from the last of those.

    Flask's own goes out with each answer, so one to a script that comes late takes back what a newer one wrote: a
    notice, or a whole sign-in.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Without the cookie, as programs ask, there is nothing whose signature is to be proven."""
        has_cookie = self.get_cookie_name(app) in request.cookies
        return super().open_session(app, request) if has_cookie else self.session_class()

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Where a page is gone to, not fetched by a page or a script (https://www.w3.org/TR/fetch-metadata/)."""
        return session.modified or (session.permanent and request.headers.get("Sec-Fetch-Mode") == "navigate")
