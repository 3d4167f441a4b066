"""Forms of one row, with fields in the units of people: dollars, percent, credits, lines of text, names of models."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from babel.numbers import get_currency_symbol
from flask_admin.form import BaseForm
from wtforms import BooleanField, HiddenField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, StopValidation
from wtforms.widgets import DateTimeLocalInput

from app.models.base import NANOS_PER_CREDIT
from app.models.catalog.currency import decimals, step
from app.models.catalog.price_schedule import DAYS, EVERY_DAY, WHOLE_DAY
from app.models.catalog.worth import currency
from app.web.numbers import LARGEST_STORED, exact

FIRST_YEAR, LAST_YEAR = 2000, 2999
ASIDE = ("seen", "reason")
"""The fields of a form that are no column of its row."""

Day = TypeVar("Day", bound=date)


def plain(units: int, unit: int, places: int) -> str:
    """Whole units as a figure to be edited, with at least so many digits after the point."""
    figure = f"{Decimal(units) / unit:f}"
    whole, _, fraction = figure.partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


class Typed(StringField):
    """Shows its value by `written` and takes what is typed by `read`; refused text stays in the form."""

    empty: Any = None

    def written(self) -> str:
        return str(self.data)

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data in (None, self.empty) else self.written()

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data, text = self.empty, valuelist[0].strip()
            self.data = self.read(text) if text else self.empty


class Amount(Typed):
    """A figure kept in whole units. An empty field is None."""

    unit, places, suffix, prefix = 1, 0, "", ""

    def __init__(self, *args: Any, lowest: int = 0, highest: int = LARGEST_STORED, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lowest, self.highest = lowest, highest

    def written(self) -> str:
        return plain(self.data or 0, self.unit, self.places)

    def read(self, text: str) -> int:
        return exact(text, self.unit)

    def pre_validate(self, form: Any) -> None:
        if self.data is None:
            return
        if self.data < self.lowest:
            is_negative = self.data < 0 <= self.lowest
            raise StopValidation("This can't be negative." if is_negative else f"At least {self.shown(self.lowest)}.")
        if self.data > self.highest:
            raise StopValidation(f"At most {self.shown(self.highest)}.")

    def shown(self, units: int) -> str:
        return f"{self.prefix}{plain(units, self.unit, self.places)}{self.suffix}"


class Count(Amount):
    """A whole number."""


class Dollars(Amount):
    """Money of the installation's currency, kept in its smallest unit: cents, typed as dollars; yen as yen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places, self.prefix = decimals(currency()), get_currency_symbol(currency().upper(), "en_US")
        self.unit = 10**self.places

    def pre_validate(self, form: Any) -> None:
        super().pre_validate(form)
        if self.data is not None and self.data % step(currency()):
            raise StopValidation(f"Stripe charges multiples of {self.shown(step(currency()))}.")


class DollarsPerMillion(Amount):
    """Nano-dollars, typed as dollars: a price per million tokens, or per piece."""

    unit, places, prefix = 10**9, 2, "$"


class Percent(Amount):
    """Basis points, typed as percent."""

    unit, suffix = 100, "%"


class Credits(Amount):
    """Nano-dollars, typed as credits."""

    unit, suffix = NANOS_PER_CREDIT, " credits"


class Lines(TextAreaField):
    """A list of strings, one to a line."""

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else "\n".join(self.data or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0] if valuelist else self._value()
        self.data = [line.strip() for line in text.splitlines() if line.strip()]


def choices_of(pairs: Iterable[tuple[Any, str]]) -> list[SelectChoice]:
    """Pairs of value and words, as a select field takes them."""
    return [SelectChoice(value, text) for value, text in pairs]


class Names(SelectMultipleField):
    """Names out of a list that `choices` (a callable) gives; those that have gone since are kept."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data: list[str] | None = []

    def process_data(self, value: Iterable[str] | None) -> None:
        self.data = list(value or [])
        offered: list[SelectChoice] = list(self.choices or [])  # type: ignore[has-type]
        known = {choice.value for choice in offered}
        gone = ((name, self.title_of(name)) for name in self.data if name not in known)
        self.choices = [*offered, *choices_of(gone)]

    def title_of(self, name: str) -> str:
        """What one that has gone is called."""
        return name


class Weekdays(Typed):
    """Days of the week, typed as "Mon, Tue", kept as the digits of their ISO numbers; none typed are all."""

    empty = EVERY_DAY

    def written(self) -> str:
        return ", ".join(DAYS[int(day) - 1] for day in self.data or "")

    def read(self, text: str) -> str:
        return "".join(sorted({weekday_typed(day) for day in text.replace(",", " ").split()})) or EVERY_DAY


def weekday_typed(text: str) -> str:
    name = text[:3].capitalize()
    if name not in DAYS:
        raise ValueError(f"{text} is not a day of the week. Write them like Mon, Tue.")
    return str(DAYS.index(name) + 1)


class TimeOfDay(Typed):
    """A time of the day, typed as "22:30", kept in minutes; the day ends at 24:00."""

    def written(self) -> str:
        return f"{self.data // 60:02}:{self.data % 60:02}"

    def read(self, text: str) -> int:
        typed = re.fullmatch(r"(\d{1,2}):([0-5]\d)", text, re.ASCII)
        minutes = int(typed[1]) * 60 + int(typed[2]) if typed else WHOLE_DAY + 1
        if minutes > WHOLE_DAY:
            raise ValueError("Enter a time, such as 8:30 or 24:00.")
        return minutes


class Dates(Typed):
    """Dates as ISO has them, with spaces between."""

    empty = ""

    def read(self, text: str) -> str:
        return " ".join(sorted({day_typed(day) for day in text.replace(",", " ").split()}))


def day_typed(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text} is not a date. Write it like 2027-01-01.") from None


class Moment(Typed):
    """A moment in UTC, to the minute."""

    widget = DateTimeLocalInput()

    def written(self) -> str:
        return f"{self.data:%Y-%m-%dT%H:%M}"

    def read(self, text: str) -> datetime:
        try:
            typed = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise ValueError("Enter a date and time, such as 2026-12-31 18:00.") from None
        in_our_years(typed)
        return typed.replace(tzinfo=UTC) if typed.tzinfo is None else typed.astimezone(UTC)


def in_our_years(typed: Day) -> Day:
    """ValueError where it is so far off that no calendar holds the day before or after it, or nobody meant it."""
    if not FIRST_YEAR <= typed.year <= LAST_YEAR:
        raise ValueError(f"Enter a year from {FIRST_YEAR} to {LAST_YEAR}.")
    return typed


class Required:
    """Something must be there; a field that was not sent keeps what the row has."""

    field_flags: ClassVar = {"required": True}

    def __call__(self, form: Any, field: Any) -> None:
        if field.errors:
            raise StopValidation
        if field.data is None or (isinstance(field.data, str) and not field.data.strip()):
            raise StopValidation("This is required.")


def id_or_none(value: str | int | None) -> int | None:
    return int(value) if value else None


class RowForm(BaseForm):
    """A form of one row: its fields are exactly those that may be changed."""

    seen = HiddenField()
    reason = StringField("Reason", validators=[Length(max=500)], description="Shown in the audit log. Optional.")

    @property
    def columns(self) -> list[Any]:
        return [field for field in self if field.name not in ASIDE]

    def populate_obj(self, obj: Any) -> None:
        for field in self.columns:
            field.populate_obj(obj, field.name)


def note_stored(form: BaseForm, stored: BaseForm) -> None:
    """What is stored, beside each field of the form that says something else."""
    for field in stored:
        typed = form._fields.get(field.name)
        if typed is None or field.name in ASIDE or typed.data == field.data:
            continue
        if (text := text_of(field)) != text_of(typed):
            typed.errors = [*typed.errors, f"Saved now: {text}."]


def text_of(field: Any) -> str:
    """What a field holds, as a person reads it."""
    if isinstance(field, BooleanField):
        return "on" if field.data else "off"
    if isinstance(field, SelectField):
        return ", ".join(choice.label for choice in field.iter_choices() if choice.selected) or "none selected"
    text = field._value()
    return f"{getattr(field, 'prefix', '')}{text}{getattr(field, 'suffix', '')}" if text else "empty"


class FieldError(Exception):
    """What was typed cannot be; `field` names where."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
