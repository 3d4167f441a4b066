"""What the tables of the admin share: closed by default, errors at the field, a record of each change."""

import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar

from flask import abort, flash, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_admin.contrib.sqla import ModelView
from sqlalchemy import func, or_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from wtforms import ValidationError

from app.admin import cell_formats
from app.admin.access import AdminOnly, is_owner
from app.admin.cell_links import (
    MODEL_COLUMNS,
    NAMED,
    STRIPE_COLUMNS,
    model_cell,
    named_cell,
    operation_cell,
    read_names,
    stripe_cell,
)
from app.admin.constraint_errors import explain
from app.admin.exports import Exported
from app.admin.form_fields import FieldError, RowForm, note_stored
from app.extensions import db
from app.models.metering.refusal import PricingError
from app.models.search import contains

LARGEST_PAGE = 10**6
HEADINGS = {"account_id": "Account", "created_at": "Date", "position": "Order"}
WORDS = {"id": "ID", "state": "status"}
STALE = "This was changed in the meantime. What is saved now is shown below each field that differs."


class AdminPage(AdminOnly, BaseView):
    """A page of its own, without a table behind it."""


class AdminTable(Exported, AdminOnly, ModelView):
    """The rows of one model. Nothing can be changed unless a view says so, and then by owners alone."""

    creates = edits = False
    can_delete = False
    can_view_details = False
    can_export = True
    export_types: ClassVar = ["csv"]
    export_max_rows = 0
    page_size = 50
    named_filter_urls = True
    list_template = "admin/model/list.html"
    create_template = edit_template = "admin/model/form.html"
    details_template = "admin/model/details.html"
    column_type_formatters: ClassVar = {object: lambda _view, value, _name: cell_formats.in_types(value)}
    column_type_formatters_detail = column_type_formatters
    column_type_formatters_export = column_type_formatters
    form_groups: ClassVar[dict[str, tuple[str, ...]]] = {}
    figures: ClassVar[set[str]] = set()
    """Columns of numbers; what is kept in nanos, cents, basis points or tokens is one anyway."""
    title_column = "name"
    one = "row"
    intro = searches = bulk = ""
    empty = "Nothing yet."

    def __init__(self, model: type[Any], name: str, **options: Any) -> None:
        super().__init__(model, db, name=name, **options)
        columns = {*self.column_list, *(self.column_details_list or ()), *(self.column_export_list or ())}
        self.column_formatters_export = cell_formats.by_unit(columns) | dict(self.column_formatters)
        named = dict.fromkeys(NAMED, named_cell) | {"operation": operation_cell}
        named |= dict.fromkeys(STRIPE_COLUMNS, stripe_cell) | dict.fromkeys(MODEL_COLUMNS, model_cell)
        counts = {name: cell_formats.shown(cell_formats.in_thousands) for name in columns if self.is_figure(name)}
        for formatters in ("column_formatters", "column_formatters_detail"):
            setattr(self, formatters, counts | named | self.column_formatters_export)

    @property
    def can_create(self) -> bool:
        return self.creates and is_owner()

    @property
    def can_edit(self) -> bool:
        return self.edits and is_owner()

    # Reading

    def _prettify_name(self, name: str) -> str:
        """The heading of a column that has no label of its own."""
        heading = HEADINGS.get(name) or cell_formats.column_text(name)
        text = " ".join(WORDS.get(word, word) for word in heading.split())
        return text[0].upper() + text[1:]

    def get_list(self, *args: Any, execute: bool = True, **options: Any) -> Any:
        count, rows = super().get_list(*args, execute=execute, **options)
        if execute:
            for column in NAMED.keys() & set(self.column_list):
                read_names(rows, column)
        return count, rows

    def get_one(self, id: Any) -> Any:
        return self.model.find(str(id))

    def _get_list_extra_args(self) -> Any:
        arguments = super()._get_list_extra_args()
        arguments.page = min(max(0, arguments.page), LARGEST_PAGE)
        arguments.search = arguments.search and arguments.search.replace("\x00", "")
        return arguments

    def _apply_search(self, query: Any, count_query: Any, joins: Any, count_joins: Any, search: str) -> Any:
        """Each word in one of the searched columns, in any script and case."""
        columns = []
        for column, path in self._search_fields or []:
            query, joins, alias = self._apply_path_joins(query, joins, path, inner_join=False)
            columns.append(column if alias is None else getattr(alias, column.key))
        for word in search.split():
            query = query.filter(or_(*(contains(column, word) for column in columns)))
        counted = None if count_query is None else query.with_entities(func.count(self.model.id))
        return query, counted, joins, dict(joins)

    def _get_list_filter_args(self) -> Any:
        """The filters of the address; an empty control is no filter."""
        filters = []
        for index, given in enumerate(self._filters or []):
            argument = self.get_filter_arg(index, given)
            value = next((v for k, v in request.args.items() if k.startswith("flt") and k.endswith(argument)), "")
            if not value:
                continue
            if given.validate(value) and "\x00" not in value:
                filters.append((index, str(given.name), value))
            else:
                flash(f"“{value}” isn't a valid value for {given.name}.", "error")
        return filters

    def filter_controls(self, active: list[tuple[int, str, str]] | None) -> Iterator[dict[str, Any]]:
        """What the list page draws for each filter, with the value that is active."""
        values = {index: value for index, _name, value in active or []}
        for index, given in enumerate(self._filters or []):
            argument = f"flt{index}_{self.get_filter_arg(index, given)}"
            text = f"{given.name} {given.operation()}" if not given.options else str(given.name)
            yield {"name": argument, "label": text, "options": given.get_options(self), "value": values.get(index, "")}

    def row_asked_for(self) -> Any:
        """The row that a form is about; 404 where it is none."""
        return self.get_one(request.form.get("id")) or abort(404)

    def is_figure(self, column: str) -> bool:
        return column in self.figures or column.endswith(cell_formats.COUNTED)

    def link_to(self, row: Any) -> str | None:
        """Where the first cell of a row leads."""
        if self.can_view_details:
            return str(self.get_url(".details_view", id=row.id))
        return str(self.get_url(".edit_view", id=row.id)) if self.can_edit else None

    def title_of(self, row: Any) -> str:
        return str(getattr(row, self.title_column, "") or f"{self.name} {row.id}")

    # Writing

    def create_model(self, form: RowForm) -> Any:
        return self.save(form, self.build_new_instance(), is_created=True)

    def update_model(self, form: RowForm, model: Any) -> bool:
        return self.save(form, model, is_created=False) is not None

    def save(self, form: RowForm, row: Any, *, is_created: bool) -> Any:
        """The saved row, or None with the error where it was made."""
        try:
            return self.write(form, row, is_created=is_created)
        except FieldError as error:
            self.refuse(form, error.field, str(error))
        except (PricingError, ValidationError) as error:
            self.refuse(form, None, str(error))
        except (IntegrityError, StaleDataError) as error:
            self.refuse(form, *explain(error))
        return None

    def write(self, form: RowForm, row: Any, *, is_created: bool) -> Any:
        """Check, change, record and commit in one transaction."""
        with db.session.no_autoflush:
            form.populate_obj(row)
            self.on_model_change(form, row, is_created)
            self.record("create" if is_created else "edit", row, reason=form.reason.data or "")
        db.session.commit()
        self.after_model_change(form, row, is_created)
        return row

    def refuse(self, form: RowForm, field: str | None, text: str) -> None:
        db.session.rollback()
        if field and field in form:
            form[field].errors = [*form[field].errors, text]
        else:
            flash(text, "error")

    def edit_form(self, obj: Any = None) -> RowForm:
        form: RowForm = super().edit_form(obj)
        self.fit(form, obj)
        if request.method == "GET":
            form.seen.data = fingerprint(obj, form)
        return form

    def fit(self, form: RowForm, row: Any) -> None:
        """Take from the form what cannot be changed of that row."""

    def validate_form(self, form: Any) -> bool:
        if not super().validate_form(form):
            return False
        row = getattr(form, "_obj", None)
        if row is None or not isinstance(form, RowForm):
            return True
        db.session.refresh(row, with_for_update={"of": self.model})
        now = fingerprint(row, form)
        if form.seen.data in {None, "", now}:
            return True
        flash(STALE, "error")
        stored = self._edit_form_class(obj=row)
        self.fit(stored, row)
        note_stored(form, stored)
        form.seen.raw_data, form.seen.data = None, now
        return False

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> ResponseReturnValue:
        if not self.can_create:
            abort(403)
        return refused_as_422(super().create_view())

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> ResponseReturnValue:
        if not self.can_edit:
            abort(403)
        return refused_as_422(super().edit_view())

    @expose("/delete/", methods=("POST",))
    def delete_view(self) -> ResponseReturnValue:
        """What was sold or charged is kept; what is over is archived by its status."""
        abort(403)

    @expose("/action/", methods=("POST",))
    def action_view(self) -> ResponseReturnValue:
        abort(403)

    @expose("/ajax/update/", methods=("POST",))
    def ajax_update(self) -> ResponseReturnValue:
        """Flask-Admin's inline editing, which would ask neither form nor role."""
        abort(403)


def fingerprint(row: Any, form: RowForm) -> str:
    """What the form's columns held when it was drawn, so that a later save sees whether they still do."""
    return digest_of([(field.name, getattr(row, field.name, None)) for field in form.columns])


def digest_of(values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def refused_as_422(answer: ResponseReturnValue) -> ResponseReturnValue:
    """A form that comes back after a POST was not taken."""
    return (answer, 422) if request.method == "POST" and isinstance(answer, str) else answer
