"""The forms of people and teams: what may be sent, and what is wrong with what was."""

from typing import Any

from flask import request
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, PasswordField, SelectField, SelectMultipleField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from app.models.base import NANOS_PER_CREDIT
from app.models.catalog.ai_model import AIModel
from app.models.identity.api_key import SCOPES, ApiKey
from app.models.identity.email_address import (
    LONGEST_ADDRESS,
    LONGEST_NAME,
    checked_address,
    holds_address,
    one_line,
)
from app.models.identity.membership import ROLES
from app.models.identity.password import LONGEST, weakness
from app.web.browser_session import has_just_signed_in
from app.web.form_errors import sentence
from app.web.numbers import amount


class Form(FlaskForm):
    """A form reads what was sent as a form and nothing else: limits read the same."""

    class Meta(FlaskForm.Meta):
        def wrap_formdata(self, _form: FlaskForm, _formdata: Any) -> Any:
            return request.form if request.method == "POST" else None


def address(_form: FlaskForm, field: Any) -> None:
    """The field holds an address that mail can be sent to; it is kept in its one form."""
    checked = checked_address(field.data)
    if checked is None:
        raise ValidationError("Enter a valid email address.")
    field.data = checked


def plain_name(_form: FlaskForm, field: Any) -> None:
    """The field holds a name: nothing that a mail program would make a link of."""
    if holds_address(field.data or ""):
        raise ValidationError("Leave out web and email addresses.")


def new_password(form: FlaskForm, field: Any) -> None:
    """The field holds a password that is not too easy."""
    own = (form[name].data or "" for name in ("email", "name") if name in form)
    fault = weakness(field.data or "", *own)
    if fault:
        raise ValidationError(fault)


def own_password(_form: FlaskForm, field: Any) -> None:
    """The field holds the password of who is signed in."""
    if not field.errors and not current_user.user.has_password(field.data or ""):
        raise ValidationError("That is not your password.")


def address_field() -> StringField:
    return StringField(filters=[one_line], validators=[Length(max=LONGEST_ADDRESS), address])


def name_field(*, required: bool = False) -> StringField:
    missing = [DataRequired("Enter a name.")] if required else []
    return StringField(filters=[one_line], validators=[*missing, Length(max=LONGEST_NAME), plain_name])


def known_password(*more: Any) -> PasswordField:
    return PasswordField(validators=[InputRequired("Enter your password."), Length(max=LONGEST), *more])


class SignupForm(Form):
    name = name_field()
    email = address_field()
    password = PasswordField(validators=[new_password])
    next = HiddenField()


class LoginForm(Form):
    email = StringField(filters=[one_line], validators=[DataRequired("Enter your email."), Length(max=LONGEST_ADDRESS)])
    password = known_password()
    next = HiddenField()


class ForgotForm(Form):
    email = address_field()


class ResetForm(Form):
    password = PasswordField(validators=[new_password])
    keep_keys = BooleanField()
    keep_passkeys = BooleanField()


class ProfileForm(Form):
    name = name_field()


class EmailForm(Form):
    email = address_field()
    current_password = known_password(own_password)


class PasswordForm(Form):
    current_password = known_password(own_password)
    password = PasswordField(validators=[new_password])
    keep_keys = BooleanField()
    keep_passkeys = BooleanField()


def credits_or_none(_form: FlaskForm, field: Any) -> None:
    """The field holds an amount of credits, or nothing; it becomes nanos, or None."""
    text = (field.data or "").strip()
    try:
        field.data = amount(text, NANOS_PER_CREDIT) if text else None
    except ValueError as error:
        raise ValidationError(sentence(str(error))) from None


class KeyLimitsForm(Form):
    """What a key may spend, and on which models; without models on all."""

    monthly_limit_credits = StringField(validators=[credits_or_none])
    total_limit_credits = StringField(validators=[credits_or_none])
    models = SelectMultipleField(validate_choice=False)

    def validate_models(self, field: Any) -> None:
        if any(AIModel.named(name) is None for name in field.data):
            raise ValidationError("One of these models is no longer here. Choose again.")

    def limit(self, key: ApiKey) -> None:
        """Put these limits onto the key."""
        key.monthly_limit_nanos = self.monthly_limit_credits.data
        key.total_limit_nanos = self.total_limit_credits.data
        key.models = list(dict.fromkeys(self.models.data))


class KeyForm(KeyLimitsForm):
    """A key; one that is sent without scopes may everything."""

    name = name_field(required=True)
    scopes = SelectMultipleField(choices=list(SCOPES))
    days = SelectField(choices=["", "30", "90", "365"], default="")


class ConfirmedForm(Form):
    """What only who has just signed in may do at once; later the password is asked for again."""

    current_password = PasswordField(validators=[Length(max=LONGEST)])

    def validate_current_password(self, field: Any) -> None:
        if not has_just_signed_in():
            own_password(self, field)


class PasskeyForm(ConfirmedForm):
    name = name_field(required=True)


class DeletionForm(Form):
    current_password = known_password(own_password)


class TeamForm(Form):
    name = name_field(required=True)


class InvitationForm(Form):
    email = address_field()
    role = SelectField(choices=[role for role in ROLES if role != "owner"], default="member")


class RoleForm(Form):
    role = SelectField(choices=list(ROLES))


def faults(form: FlaskForm) -> dict[str, list[str]]:
    """What is wrong, by field; "form" for the whole."""
    return {name or "form": [str(word) for word in text] for name, text in form.errors.items()}
