"""Retires several ticked rows at once: one POST, one audit line for each."""

from collections.abc import Callable
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin import expose

from app.admin.access import owners_only
from app.extensions import db
from app.jobs import JobName, enqueue

MOST = 200


class BulkRetire:
    """`retire(row)` takes one from sale and says whether it was on sale; what people have of it goes on."""

    bulk = "Retire selected"
    kept = "Customers keep what they have."
    job: JobName | None = None
    """What is to be done about a row that was changed."""

    get_one: Callable[[Any], Any]
    go_back: Callable[..., ResponseReturnValue]
    record: Callable[..., None]
    title_of: Callable[[Any], str]

    def retire(self, row: Any) -> bool:
        """To legacy, where it is active; the default plan stays."""
        if row.status != "active" or getattr(row, "is_default", False):
            return False
        row.status = "legacy"
        return True

    @expose("/retire/", methods=("POST",))
    @owners_only
    def retire_view(self) -> ResponseReturnValue:
        rows = [row for typed in request.form.getlist("id")[:MOST] if (row := self.get_one(typed))]
        if not rows:
            return self.go_back("Select at least one row.", ".index_view", "error")
        retired = []
        for row in rows:
            if self.retire(row):
                self.record("retire", row)
                retired.append(row)
        db.session.commit()
        if self.job:
            for row in retired:
                enqueue(self.job, row.id)
        left = [row for row in rows if row not in retired]
        return self.go_back(f"{len(retired)} of {len(rows)} retired. {self.kept}{self.why(left)}", ".index_view")

    def why(self, left: list[Any]) -> str:
        """Which rows were not retired, and what keeps the default plan."""
        names = ", ".join(self.title_of(row) for row in left)
        is_kept = any(getattr(row, "is_default", False) for row in left)
        default = " New accounts start on the default plan; make another plan the default first." if is_kept else ""
        return f" Still as before: {names}.{default}" if left else ""
