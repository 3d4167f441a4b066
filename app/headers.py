"""Headers of every answer: a content policy with a nonce, and what keeps browsers from guessing. SECURITY.md 13, 25."""

from __future__ import annotations

import secrets

from flask import Flask, Response, current_app, g, request
from flask_login import current_user

from app.config import STRIPE_API

POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self' https://checkout.stripe.com https://billing.stripe.com{forms}"
)


def init_headers(app: Flask) -> None:
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.after_request(set_headers)


def csp_nonce() -> str:
    """This request's nonce, for `<script nonce>`."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def set_headers(response: Response) -> Response:
    from_here = response.headers
    from_here.setdefault("X-Content-Type-Options", "nosniff")
    from_here.setdefault("Referrer-Policy", "same-origin")
    from_here.setdefault("Content-Security-Policy", policy())
    from_here.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.endpoint != "static" and current_user.is_authenticated:
        from_here.setdefault("Cache-Control", "no-store")
    if current_app.config["SESSION_COOKIE_SECURE"]:
        from_here.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response


def checkout_elsewhere() -> str:
    """The address of sandbox payments, whose checkout a form may lead to."""
    address = current_app.config["STRIPE_API_BASE"]
    return "" if address == STRIPE_API else f" {address}"


def policy() -> str:
    return POLICY.format(nonce=csp_nonce(), forms=checkout_elsewhere())
