"""Who may enter the admin, and how far: owners do everything, support reads and grants a little."""

from collections.abc import Callable
from typing import Any

from flask import Flask, abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.admin.cell_formats import credits_text, link, moment, told
from app.models.catalog.setting import Setting
from app.models.identity.two_factor import state_of
from app.models.operations.audit_log import AdminChange, differences
from app.web.access import NotSignedIn, only_where

ADDRESS = "/admin"
SECOND_FACTOR = "two_factor"


def init_doors(app: Flask) -> None:
    app.before_request(close_to_others)


def close_to_others() -> ResponseReturnValue | None:
    """Whatever lies under /admin, its static files and its unknown addresses included, is for admins."""
    if request.path != ADDRESS and not request.path.startswith(f"{ADDRESS}/"):
        return None
    if current_app.config["ADMIN_HOST"] not in {"", request.host}:
        abort(404)
    admit()
    if request.blueprint != SECOND_FACTOR and awaits_second_factor():
        return redirect(url_for(f"{SECOND_FACTOR}.index", next=request.path))
    return None


def awaits_second_factor() -> bool:
    """Whether this session has to show a second factor: who has one must, and in production everybody."""
    has_one, was_shown = state_of(current_user.session_secret)
    return not was_shown and (has_one or current_app.config["APP_ENV"] == "production")


def admit() -> None:
    """Pass for an admin in a browser session; NotSignedIn or 403 for all others."""
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in as an admin to continue.")
    if not current_user.is_admin or current_user.api_key_id is not None:
        abort(403)


def is_owner() -> bool:
    """Whether the caller may change things, not only read and grant."""
    return bool(current_user) and current_user.is_authenticated and current_user.admin_role == "owner"


owners_only = only_where(is_owner)
"""Refuse the support role."""


def wants_on() -> bool:
    """Whether the button pressed says "on" or "off": a toggle would let two admins at once undo each other."""
    asked = request.form.get("switch")
    if asked not in {"on", "off"}:
        abort(400)
    return asked == "on"


class AdminOnly:
    """What every view of Flask-Admin is mixed with: closed by itself too, should the door above ever be moved."""

    def is_accessible(self) -> bool:
        return current_user.is_authenticated and current_user.is_admin and current_user.api_key_id is None

    def inaccessible_callback(self, name: str, **kwargs: Any) -> ResponseReturnValue:
        admit()
        abort(403)

    def render(self, template: str, **context: Any) -> str:
        text = {
            "brand": Setting.get("brand_name"),
            "credits": credits_text,
            "moment": moment,
            "link": link,
            "told": told,
        }
        return str(super().render(template, **text, **context))  # type: ignore[misc]

    def record(self, action: str, row: Any, *, reason: str = "", **context: Any) -> None:
        """A line in the record of changes, where anything changes: `changes`, else what was not flushed yet."""
        changes = context.pop("changes", None) or differences(row)
        if changes:
            AdminChange.note(current_user.user_id, action, row, reason=reason, changes=changes, **context)

    def go_back(self, text: str, view: str, category: str = "success", **named: Any) -> ResponseReturnValue:
        """Back to one of its pages, where the text stands on top."""
        flash(text, category)
        return redirect(self.get_url(view, **named))  # type: ignore[attr-defined]

    def _run_view(self, view: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return view(self, *args, **kwargs)
