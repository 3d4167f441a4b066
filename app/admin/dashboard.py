"""The overview: what the business did, by day."""

from __future__ import annotations

from flask_admin import expose

from app.admin.doors import Guarded
from flask_admin import AdminIndexView


class Dashboard(Guarded, AdminIndexView):
    @expose("/")
    def index(self) -> str:
        return self.render("admin/dashboard.html")
