"""Support requests: open ones first, priority support before the rest."""

from typing import Any, ClassVar

from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla.filters import BooleanEqualFilter
from jinja2 import pass_context

from app.admin.cell_links import AccountFilter
from app.admin.ledger_views import ReadOnlyTable
from app.extensions import db
from app.models.operations.support_request import SupportRequest

SHOWN = 120
"""Characters of a question that the list shows; its own page and the export have all."""


class SupportTable(ReadOnlyTable):
    one = "support request"
    intro = "Questions from customers, priority plans first."
    details_template = "admin/support_request.html"
    column_list = ("id", "created_at", "is_priority", "account_id", "user.email", "message", "answered_at")
    column_labels: ClassVar = {"is_priority": "Priority", "user.email": "From"}
    column_details_list = ("id", "created_at", "is_priority", "account_id", "user.email", "usage_id",
                           "message", "answered_at")  # fmt: skip
    column_select_related_list = (SupportRequest.account, SupportRequest.user)
    column_filters = (
        AccountFilter(SupportRequest.account_id, "Account"),
        BooleanEqualFilter(SupportRequest.is_priority, "Priority"),
    )

    @pass_context
    def get_list_value(self, context: Any, model: SupportRequest, name: str) -> Any:
        value = super().get_list_value(context, model, name)
        return value[:SHOWN] if name == "message" else value

    def get_query(self) -> Any:
        waiting = SupportRequest.answered_at.is_(None)
        return super().get_query().order_by(waiting.desc(), SupportRequest.is_priority.desc())

    @expose("/answered/", methods=("POST",))
    def answered_view(self) -> ResponseReturnValue:
        """Take it off the list of what waits."""
        row = self.row_asked_for()
        row.mark_answered()
        self.record("answer", row)
        db.session.commit()
        return self.go_back("Marked as answered.", ".index_view")
