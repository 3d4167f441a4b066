"""The rows of a list as CSV: as it is filtered, a few at a time, no cell a formula."""

from collections.abc import Iterator
from typing import Any

from flask import Response
from flask_admin.contrib.sqla import ModelView

from app.extensions import db
from app.models.operations.replica_reads import read_from_replica
from app.web.csv import BYTE_ORDER_MARK, safe

EXPORTED_AT_ONCE = 500


class Exported(ModelView):
    """A table of the admin with a CSV of its list."""

    def _export_data(self) -> tuple[int | None, Any]:
        """The rows of the list as it is filtered and sorted, a few at a time."""
        read_from_replica()
        seen = self._get_list_extra_args()
        column = self._get_column_by_idx(seen.sort)
        name = column[0] if column else None
        _count, query = self.get_list(0, name, seen.sort_desc, seen.search, seen.filters, execute=False, page_size=0)
        return None, rows_of(query)

    def _export_csv(self, return_url: str) -> Response:
        """With the mark by which Excel knows UTF-8."""
        response: Response = super()._export_csv(return_url)
        response.response = marked(response.response)
        return response

    def get_export_value(self, model: Any, name: Any) -> str:
        return str(safe(str(super().get_export_value(model, name))))


def rows_of(query: Any) -> Iterator[Any]:
    """Its rows while the answer is sent, when the session of the query has ended and would hold its connection."""
    yield from query.with_session(db.session()).yield_per(EXPORTED_AT_ONCE)


def marked(rows: Any) -> Iterator[str]:
    yield BYTE_ORDER_MARK
    yield from rows
