"""The second factor on entering the admin, for a session that began without it."""

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from app.admin.model_view import AdminPage
from app.extensions import db
from app.models.identity.two_factor import passes, remember, state_of
from app.web import security_events
from app.web.browser_session import same_site
from app.web.second_factor import WRONG, tries


class TwoFactorPage(AdminPage):
    """The one page under /admin that opens without the second factor."""

    @expose("/", methods=("GET", "POST"))
    @tries
    def index(self) -> ResponseReturnValue:
        has_one, was_shown = state_of(current_user.session_secret)
        target = same_site(request.args.get("next")) or self.get_url("admin.index")
        if not has_one or was_shown:
            return redirect(url_for("auth.two_factor", next=target))
        if request.method == "GET":
            return self.render("admin/two_factor.html")
        is_right = passes(current_user.user, request.form.get("code", ""))
        if is_right:
            remember(current_user.session_secret)
        db.session.commit()
        if is_right:
            return redirect(target)
        security_events.note("second factor failed")
        flash(WRONG, "error")
        return self.render("admin/two_factor.html"), 422
