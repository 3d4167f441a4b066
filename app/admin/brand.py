"""The installation's brand: name, colour and logo of every page that no account has its own for."""

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user

from app.admin.access import owners_only
from app.admin.model_view import AdminPage
from app.extensions import db
from app.models.identity.brand import Brand
from app.models.metering.refusal import InvalidRequest
from app.models.operations.audit_log import AdminChange
from app.web.branding import take_form


class BrandPage(AdminPage):
    @expose("/")
    def index(self) -> ResponseReturnValue:
        return self.render("admin/brand.html", kept=Brand.of(None), errors={})

    @expose("/", methods=("POST",))
    @owners_only
    def change_view(self) -> ResponseReturnValue:
        kept = Brand.of(None)
        before = [kept.name, kept.color, kept.logo_type]
        try:
            take_form(kept)
        except InvalidRequest as invalid:
            db.session.expunge(kept)
            typed = Brand(name=request.form.get("name", ""), color=request.form.get("color", ""), logo_type="")
            return self.render("admin/brand.html", kept=typed, errors=invalid.errors), 422
        db.session.flush()
        changes = {"brand": [", ".join(before), ", ".join([kept.name, kept.color, kept.logo_type])]}
        AdminChange.note(current_user.user_id, "edit", kept, changes=changes)
        db.session.commit()
        return self.go_back("Brand saved.", ".index")
