"""The weekly summary: chosen by owners and admins, ended with one click in the mail itself."""

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue

from app.auth.teams import done
from app.extensions import db
from app.payments.digests import member_of
from app.web.access import managers_only, own_membership, public, takes_foreign_posts
from app.web.blueprints import auth


@auth.post("/account/digest")
@managers_only
def choose_digest() -> ResponseReturnValue:
    own = own_membership()
    own.wants_digest = "wants_digest" in request.form
    return done("You'll get a summary each Monday." if own.wants_digest else "The weekly summary is off.")


@auth.get("/digests/stop/<token>")
@public
def stop_digest(token: str) -> str:
    """Asks; it is the POST that ends it, so that a program which follows links ends nothing."""
    if member_of(token) is None:
        abort(404)
    return render_template("stop_digest.html", token=token, is_over=False)


@auth.post("/digests/stop/<token>")
@takes_foreign_posts
def end_digest(token: str) -> str:
    """By the mail program itself too (RFC 8058): the link's signature is the proof."""
    member = member_of(token) or abort(404)
    member.wants_digest = False
    db.session.commit()
    return render_template("stop_digest.html", token=token, is_over=True)
