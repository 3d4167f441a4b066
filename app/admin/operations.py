"""Operations: what calls to models are for, and what the models are told."""

from typing import ClassVar

from sqlalchemy import select
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Regexp

from app.admin.cell_formats import sold_title
from app.admin.form_fields import Count, FieldError, Required, RowForm, choices_of, id_or_none
from app.admin.model_view import AdminTable
from app.admin.plan_forms import model_names
from app.extensions import db
from app.models.catalog.operation import BUILT_IN, OperationRow
from app.models.catalog.plan import Plan
from app.models.metering.usage import Usage

NOT_A_NAME = "Use lowercase letters, digits and _, starting with a letter."


def models() -> list[SelectChoice]:
    return [*choices_of([("", "The first on sale")]), *model_names()]


def plans() -> list[SelectChoice]:
    """Those that somebody may be on, and those that an operation names already."""
    named = Plan.id.in_(select(OperationRow.minimum_plan_id))
    offered = select(Plan).where((Plan.status != "inactive") | named).order_by(Plan.position, Plan.id)
    return choices_of([("", "Every plan"), *((str(plan.id), sold_title(plan)) for plan in db.session.scalars(offered))])


def text_or_none(value: str | None) -> str | None:
    return value or None


class OperationForm(RowForm):
    name = StringField(
        "ID",
        validators=[Required(), Length(max=40), Regexp(r"[a-z][a-z0-9_]*$", message=NOT_A_NAME)],
        description="Used in code and usage lists.",
    )
    title = StringField("Title", validators=[Required(), Length(max=60)], description="What people see.")
    instructions = TextAreaField(
        "Instructions",
        validators=[Length(max=20_000)],
        description="What the model is told before the user's text. $kind and the like stand for fields of the call.",
    )
    default_model = SelectField("Model", choices=models, coerce=text_or_none, description="If the user chooses none.")
    max_output_tokens = Count(
        "Maximum output", lowest=1, highest=10**6, description="Tokens. Empty: the setting for all calls."
    )
    minimum_plan_id = SelectField(
        "From plan", choices=plans, coerce=id_or_none, description="This plan and all more expensive ones."
    )
    is_enabled = BooleanField("On", default=True)


class OperationTable(AdminTable):
    creates = edits = True
    one = "operation"
    intro = "What calls to models are for. Each is metered, limited and listed under its own name."
    form = OperationForm
    column_list = ("name", "title", "default_model", "max_output_tokens", "minimum_plan.name", "is_enabled")
    column_labels: ClassVar = {
        "name": "ID", "default_model": "Model", "max_output_tokens": "Maximum output", "minimum_plan.name": "From plan",
        "is_enabled": "On",
    }  # fmt: skip
    column_sortable_list = ("name", "title", "is_enabled")
    column_default_sort = "id"

    def fit(self, form: RowForm, row: OperationRow) -> None:
        """Take away what says nothing there, and keep the id that the app calls it by."""
        for name in BUILT_IN.get(row.name, ()):
            del form[name]
        if row.name in BUILT_IN:
            form["name"].render_kw = {"readonly": True}
            form["name"].description = "Fixed: the app calls it by this id."

    def on_model_change(self, form: OperationForm, row: OperationRow, is_created: bool) -> None:
        before = form.name.object_data
        if not is_created and row.name != before and (before in BUILT_IN or was_called(before)):
            raise FieldError("name", "This id is in use, so it can't change. Add another operation instead.")


def was_called(name: str) -> bool:
    return db.session.scalar(select(Usage.id).where(Usage.operation == name).limit(1)) is not None
