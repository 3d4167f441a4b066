"""The installation's brand: name, colour and logo of every page that no account has its own for."""

from __future__ import annotations

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from app.admin.access import owners_only
from app.admin.model_view import AdminPage
from app.extensions import db
from app.models.identity.brand import LARGEST_LOGO, Brand
from app.models.metering.refusal import InvalidRequest
from app.models.operations.audit_log import AdminChange


class BrandPage(AdminPage):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        return self.render("admin/brand.html", kept=Brand.of(None), errors={})

    @expose("/", methods=("POST",))
    @owners_only
    def change_view(self) -> ResponseReturnValue:
        kept, uploaded = Brand.of(None), request.files.get("logo")
        before = [kept.name, kept.color, kept.logo_type]
        logo = uploaded.stream.read(LARGEST_LOGO + 1) if uploaded and uploaded.filename else None
        try:
            kept.change(request.form.get("name", ""), request.form.get("color", ""), logo)
        except InvalidRequest as invalid:
            db.session.expunge(kept)
            typed = Brand(
                name=request.form.get("name", ""), color=request.form.get("color", ""), logo_type=""
            )
            return self.render("admin/brand.html", kept=typed, errors=invalid.errors), 422
        if "remove_logo" in request.form:
            kept.remove_logo()
        db.session.flush()
        changes = {"brand": [", ".join(before), ", ".join([kept.name, kept.color, kept.logo_type])]}
        AdminChange.note(current_user.user_id, "edit", kept, changes=changes)
        db.session.commit()
        flash("The brand is saved.", "success")
        return redirect(self.get_url(".index"))
