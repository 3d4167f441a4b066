"""Headers of every answer: a content policy with a nonce, and what keeps browsers from guessing. security.md 13, 25."""

import gzip
import secrets
from functools import lru_cache

from flask import Flask, Response, current_app, g, request

from app.config import STRIPE_API

POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self' https://*.stripe.com{forms}"
)
"""Browsers hold a form's redirects to `form-action` too: to Stripe's checkout, portal and invoices, or on to a bank."""

STEADY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
COMPRESSED = {"text/css", "text/javascript", "image/svg+xml"}


def init_headers(app: Flask) -> None:
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.after_request(set_headers)
    app.after_request(compress)


def csp_nonce() -> str:
    """This request's nonce, for `<script nonce>`."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def set_headers(response: Response) -> Response:
    """Those that the answer doesn't have. What is there is read once: each `setdefault` of a header raises inside."""
    wanted = STEADY | {"Content-Security-Policy": POLICY.format(nonce=csp_nonce(), forms=checkout_elsewhere())}
    if request.endpoint != "static":
        wanted["Cache-Control"] = "no-store"
    if current_app.config["SESSION_COOKIE_SECURE"]:
        wanted["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    known = {name.lower() for name, _value in response.headers}
    for name, value in wanted.items():
        if name.lower() not in known:
            response.headers.add(name, value)
    return response


def compress(response: Response) -> Response:
    """Styles, scripts and drawings at a quarter of their size. Pages are not compressed: they carry secrets, beside
    words that others may have chosen."""
    if request.endpoint != "static" or response.status_code != 200 or response.mimetype not in COMPRESSED:
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"]:
        response.direct_passthrough = False
        response.set_data(compressed(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
    return response


@lru_cache(maxsize=200)
def compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def checkout_elsewhere() -> str:
    """The address of sandbox payments, whose checkout a form may lead to."""
    address = current_app.config["STRIPE_API_BASE"]
    return "" if address == STRIPE_API else f" {address}"
