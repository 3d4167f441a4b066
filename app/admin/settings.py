"""The settings: one page, typed fields with their bounds, in effect from the next request on."""

from collections.abc import Callable
from typing import Any

from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.form import BaseForm
from flask_login import current_user
from wtforms import Field, HiddenField, SelectField, StringField
from wtforms.validators import Length, ValidationError

from app.admin.access import is_owner
from app.admin.form_fields import Count, Credits, Dollars, DollarsPerMillion, Percent, Required, choices_of, note_stored
from app.admin.model_view import STALE, AdminPage, digest_of
from app.extensions import db
from app.models.billing.currency_choice import choose_currency, fault_of
from app.models.catalog.setting import DEFINITIONS, Definition, Setting
from app.models.identity.email_address import checked_address, one_line
from app.models.operations.audit_log import AdminChange

CURRENCY = ("currency", "currency_rate")
FLAGS = choices_of([("1", "yes"), ("0", "no")])


def bounded(kind: type[Field]) -> Callable[..., Any]:
    def make(definition: Definition, **options: Any) -> Any:
        return kind(validators=[Required()], lowest=definition.lowest, highest=definition.highest, **options)

    return make


def text(definition: Definition, **options: Any) -> Any:
    needed = [Required()] if definition.lowest else []
    return StringField(validators=[*needed, Length(definition.lowest, definition.highest)], **options)


def email(definition: Definition, **options: Any) -> Any:
    return StringField(filters=[one_line], validators=[Length(max=definition.highest), address_or_none], **options)


def address_or_none(_form: BaseForm, field: Field) -> None:
    """The field holds an address that mail can be sent to, or nothing: a mail with any other cannot be written."""
    if field.data and checked_address(field.data) is None:
        raise ValidationError("Enter a valid email address.")


def flag(_definition: Definition, **options: Any) -> Any:
    return SelectField(choices=FLAGS, coerce=lambda value: {True: "1", False: "0"}.get(value, value), **options)


def choice(definition: Definition, **options: Any) -> Any:
    return SelectField(choices=choices_of((value, value) for value in definition.choices), **options)


FIELDS: dict[str, Callable[..., Any]] = {
    "credits": bounded(Credits),
    "money": bounded(Dollars),
    "dollars": bounded(DollarsPerMillion),
    "count": bounded(Count),
    "basis_points": bounded(Percent),
    "text": text,
    "email": email,
    "flag": flag,
    "choice": choice,
}


def field_of(definition: Definition) -> Any:
    """The form field of a setting; one that the environment decides is shown and not taken."""
    if definition.variable:
        text = f"{definition.help} Decided by {definition.variable} in the environment."
        return FIELDS[definition.kind](
            definition, label=definition.title, description=text, render_kw={"disabled": True}
        )
    return FIELDS[definition.kind](definition, label=definition.title, description=definition.help)


def settings_form() -> BaseForm:
    """The form, filled with what is in force or with what was typed."""
    fields = {key: field_of(definition) for key, definition in DEFINITIONS.items()}
    fields["seen"] = HiddenField(default=in_force)
    fields["reason"] = StringField("Reason", validators=[Length(max=500)], description="Shown in the audit log.")
    form = type("SettingsForm", (BaseForm,), fields)
    typed = request.form if request.method == "POST" else None
    return form(typed, data=Setting.all())


def in_force() -> str:
    """What the form was drawn from, so that nobody undoes what somebody else has saved since."""
    return digest_of(sorted(Setting.all().items()))


class SettingPage(AdminPage):
    @expose("/", methods=("GET", "POST"))
    def index(self) -> ResponseReturnValue:
        form = settings_form()
        if request.method == "GET":
            return self.page(form)
        if not is_owner():
            abort(403)
        if not form.validate():
            return self.page(form), 422
        Setting.hold()
        if form["seen"].data not in {"", None, in_force()}:
            flash(STALE, "error")
            note_stored(form, type(form)(data=Setting.all()))
            form["seen"].data = in_force()
            return self.page(form), 422
        for name, errors in fault_of(form["currency"].data, form["currency_rate"].data).items():
            form[name].errors = errors
            return self.page(form), 422
        changed = save(form)
        db.session.commit()
        flash(f"Saved: {', '.join(changed)}." if changed else "Nothing was changed.", "success")
        return redirect(self.get_url(".index"))

    def page(self, form: BaseForm) -> str:
        groups: dict[str, list[str]] = {}
        for definition in DEFINITIONS.values():
            groups.setdefault(definition.group, []).append(definition.key)
        return self.render("admin/settings.html", form=form, groups=groups, is_owner=is_owner())


def save(form: BaseForm) -> list[str]:
    """Store what differs from what is in force, each with its line in the record; returns the titles.

    The currency comes last: it converts what the others say.
    """
    now, changed = Setting.all(), []
    for key, definition in DEFINITIONS.items():
        value = form[key].data == "1" if definition.kind == "flag" else form[key].data
        if definition.variable or value == now[key]:
            continue
        row = Setting.put(key, now[key] if key in CURRENCY else value)
        changes = {"value": [str(now[key]), str(value)]}
        AdminChange.note(current_user.user_id, "edit", row, reason=form["reason"].data or "", changes=changes)
        changed.append(definition.title)
    choose_currency(form["currency"].data, form["currency_rate"].data)
    return changed
