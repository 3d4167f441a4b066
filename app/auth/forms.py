"""The forms of people and teams: what may be sent, and what is wrong with what was."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask_wtf import FlaskForm
from wtforms import DecimalField, HiddenField, PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from app.models.base import NANOS_PER_CREDIT
from app.models.identity.membership import ROLES
from app.models.identity.password import LONGEST, weakness

LONGEST_ADDRESS = 254
MOST_CREDITS = 10**9


def plain(text: str | None) -> str:
    """One line without control characters: it goes into mails and databases."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text or "").split())


class Address:
    """The field holds an address that mail can be sent to; it is kept in lower case."""

    def __call__(self, _form: FlaskForm, field: Any) -> None:
        try:
            checked = validate_email(field.data or "", check_deliverability=False)
        except EmailNotValidError:
            raise ValidationError("This is not an address that mail can be sent to.") from None
        field.data = checked.normalized.lower()


class NewPassword:
    """The field holds a password that is not too easy."""

    def __call__(self, form: FlaskForm, field: Any) -> None:
        own = (form[name].data or "" for name in ("email", "name") if name in form)
        fault = weakness(field.data or "", *own)
        if fault:
            raise ValidationError(fault)


def address_field() -> StringField:
    return StringField(filters=[plain], validators=[Length(max=LONGEST_ADDRESS), Address()])


def name_field(*, required: bool = False) -> StringField:
    missing = [DataRequired("Give it a name.")] if required else []
    return StringField(filters=[plain], validators=[*missing, Length(max=100)])


def known_password() -> PasswordField:
    return PasswordField(validators=[InputRequired("Type your password."), Length(max=LONGEST)])


class SignupForm(FlaskForm):
    name = name_field()
    email = address_field()
    password = PasswordField(validators=[NewPassword()])
    next = HiddenField()


class LoginForm(FlaskForm):
    email = StringField(
        filters=[plain], validators=[DataRequired("Type your address."), Length(max=LONGEST_ADDRESS)]
    )
    password = known_password()
    next = HiddenField()


class ForgotForm(FlaskForm):
    email = address_field()


class ResetForm(FlaskForm):
    password = PasswordField(validators=[NewPassword()])


class ProfileForm(FlaskForm):
    name = name_field()


class EmailForm(FlaskForm):
    email = address_field()
    current_password = known_password()


class PasswordForm(FlaskForm):
    current_password = known_password()
    password = PasswordField(validators=[NewPassword()])


class KeyForm(FlaskForm):
    name = name_field(required=True)


class DeletionForm(FlaskForm):
    current_password = known_password()


class TeamForm(FlaskForm):
    name = name_field(required=True)


class InvitationForm(FlaskForm):
    email = address_field()
    role = SelectField(choices=[role for role in ROLES if role != "owner"], default="member")


class RoleForm(FlaskForm):
    role = SelectField(choices=list(ROLES))


class LimitForm(FlaskForm):
    """A member's monthly limit in credits; empty for none."""

    limit_credits = DecimalField(validators=[Optional(), NumberRange(min=0, max=MOST_CREDITS)])

    @property
    def nanos(self) -> int | None:
        credits: Decimal | None = self.limit_credits.data
        return None if credits is None else int(credits * NANOS_PER_CREDIT)


def faults(form: FlaskForm) -> dict[str, list[str]]:
    """What is wrong, by field; "form" for the whole."""
    return {name or "form": [str(word) for word in text] for name, text in form.errors.items()}
