"""The forms of plans and packs: money as people write it, help beside each field."""

import re

from sqlalchemy import func, select
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length

from app.admin.form_fields import Count, Credits, Dollars, Lines, Moment, Names, Percent, Required, RowForm, choices_of
from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.pack_tier import MOST_PACKS
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.setting import Setting
from app.models.metering.balance import LONGEST_WINDOW
from app.web.numbers import exact

STATUSES = choices_of(
    [
        ("active", "active: can be chosen"),
        ("legacy", "legacy: works for those who have it, can't be chosen"),
        ("inactive", "inactive: its accounts get no usage"),
    ]
)
PACK_STATUSES = choices_of(
    [
        ("active", "active: can be bought"),
        ("legacy", "legacy: can no longer be bought"),
        ("inactive", "inactive: can no longer be bought"),
    ]
)
INTERVALS = choices_of([("month", "a month"), ("year", "a year")])
MOST_CENTS, MOST_COUNT = 10**9, 10**6
HIGHEST_MARGIN = 9_999


def model_names() -> list[SelectChoice]:
    named = db.session.execute(select(AIModel.name, AIModel.title).order_by(AIModel.position, AIModel.id))
    return choices_of((row.name, row.title) for row in named)


def order_among(sold: type[Plan] | type[CreditPack] | type[AIModel]) -> Count:
    """What is new comes last, unless an admin says otherwise."""

    def last() -> int:
        return 1 + (db.session.scalar(select(func.max(sold.position))) or 0)

    help = "Lowest numbers come first."
    return Count("Order", default=last, highest=MOST_COUNT, validators=[Required()], description=help)


class PlanForm(RowForm):
    name = StringField("Name", validators=[Required(), Length(max=80)])
    description = StringField("Tagline", validators=[Length(max=300)])
    status = SelectField("Status", choices=STATUSES, default="active")
    position = order_among(Plan)
    is_popular = BooleanField("Mark as popular")
    price_cents = Dollars("Price", validators=[Required()], default=0, highest=MOST_CENTS)
    interval = SelectField("Interval", choices=INTERVALS, default="month")
    surcharge_cents = Dollars(
        "Surcharge",
        validators=[Required()],
        default=0,
        highest=MOST_CENTS,
        description="The part of the price that buys no credits, for extras.",
    )
    margin_bps = Percent(
        "Margin",
        validators=[Required()],
        default=lambda: Setting.get("default_margin"),
        highest=HIGHEST_MARGIN,
        description="Your share of the rest. Applies to new sales.",
    )
    sale_price_cents = Dollars(
        "Sale price",
        lowest=1,
        highest=MOST_CENTS,
        description="For people who subscribe before it ends, as long as they stay. Same credits. Empty: no sale.",
    )
    sale_ends_at = Moment("Sale until", description="UTC.")
    trial_days = Count("Trial", default=0, highest=365, validators=[Required()], description="In days. 0: no trial.")
    allowance_override_nanos = Credits(
        "Allowance set by hand", description="Credits a month. Empty: computed from price, surcharge and margin."
    )
    daily_limit_nanos = Credits("Daily limit", lowest=1, description="Empty: no daily limit.")
    window_limit_nanos = Credits("Limit for a few hours", lowest=1, description="Empty: no such limit.")
    window_hours = Count(
        "Hours",
        lowest=1,
        highest=LONGEST_WINDOW,
        description="1 to 12 each, from midnight UTC: 5 are 0:00 to 5:00, ..., 20:00 to 24:00.",
    )
    chats_per_month = Count("New chats a month", lowest=-1, highest=MOST_COUNT, description="Empty or -1: unlimited.")
    documents = Count(
        "Documents",
        lowest=-1,
        highest=MOST_COUNT,
        description="At the same time; deleting one makes room. Empty or -1: unlimited.",
    )
    images_per_month = Count("Images a month", lowest=-1, highest=MOST_COUNT, description="Empty or -1: unlimited.")
    parallel_calls = Count("Simultaneous answers", lowest=1, highest=1000, description="Empty: as in the settings.")
    models = Names("Models", choices=model_names, description="None selected: every model.")
    has_api = BooleanField("API access", default=True)
    allows_packs = BooleanField("Credit packs can be bought on this plan", default=True)
    has_priority_support = BooleanField("Priority support")
    has_custom_branding = BooleanField("Custom branding")
    bullets = Lines("Bullets", description="One per line.")


class Tiers(TextAreaField):
    """Margins from a quantity on, one to a line: "10: 45%"."""

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "\n".join(f"{quantity}: {margin / 100:g}%" for quantity, margin in self.data or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0] if valuelist else self._value()
        typed = [tier_typed(line) for line in text.splitlines() if line.strip()]
        self.data = [list(tier) for tier in sorted(typed)]
        if len(dict(typed)) < len(typed):
            raise ValueError("Write each quantity once.")


def tier_typed(line: str) -> tuple[int, int]:
    quantity, _, margin = line.partition(":")
    digits = quantity.strip()
    if not re.fullmatch(r"\d{1,3}", digits, re.ASCII) or not 2 <= int(digits) <= MOST_PACKS:
        raise ValueError(f"“{line.strip()}”: write a quantity from 2 to {MOST_PACKS} and a margin, like 10: 45%.")
    basis_points = exact(margin, 100)
    if not 0 <= basis_points <= HIGHEST_MARGIN:
        raise ValueError(f"“{line.strip()}”: the margin is from 0 to 99.99%.")
    return int(digits), basis_points


class PackForm(RowForm):
    name = StringField("Name", validators=[Required(), Length(max=80)])
    description = StringField("Tagline", validators=[Length(max=300)])
    status = SelectField("Status", choices=PACK_STATUSES, default="active")
    position = order_among(CreditPack)
    price_cents = Dollars("Price", validators=[Required()], lowest=1, highest=MOST_CENTS)
    margin_bps = Percent(
        "Margin",
        validators=[Required()],
        default=lambda: Setting.get("default_margin"),
        highest=HIGHEST_MARGIN,
        description="Your share of the price. Applies to new sales.",
    )
    is_any_amount = BooleanField(
        "Any amount", description="People choose how much they pay, within the limits in Settings."
    )
    volume = Tiers("Volume", description="One per line: a quantity and the margin from there on, such as 10: 45%.")
