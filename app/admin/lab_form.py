"""The lab's form: what there is, each figure with the value that it has, to be typed over."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, cast

from sqlalchemy import exists, or_, select
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Field, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length
from wtforms.widgets import DateInput

from app.admin.cell_formats import sold_title
from app.admin.form_fields import (
    Count,
    Credits,
    Dollars,
    DollarsPerMillion,
    Names,
    Percent,
    Required,
    RowForm,
    Typed,
    choices_of,
    in_our_years,
)
from app.admin.plan_forms import HIGHEST_MARGIN, MOST_CENTS, MOST_COUNT, STATUSES, Tiers, model_names
from app.admin.prices import BUCKET_NAMES
from app.extensions import db
from app.lab.scenario import PARTS, Scenario, kind_of_image
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.guest_account import is_guest_account
from app.models.metering.balance import LONGEST_WINDOW
from app.models.operations.lab_run import Habit

KINDS = choices_of([("personal", "Personal"), ("team", "Teams")])
Kinds = dict[str, tuple[type[Field], str, dict[str, Any]]]
PLAN_FIELDS: Kinds = {
    "price_cents": (Dollars, "Price", {"highest": MOST_CENTS, "validators": [Required()]}),
    "surcharge_cents": (Dollars, "Surcharge", {"highest": MOST_CENTS, "validators": [Required()]}),
    "margin_bps": (Percent, "Margin", {"highest": HIGHEST_MARGIN, "validators": [Required()]}),
    "trial_days": (Count, "Trial, days", {"highest": 365, "validators": [Required()]}),
    "allowance_override_nanos": (
        Credits,
        "Allowance set by hand",
        {"description": "Empty: from price and margin."},
    ),
    "daily_limit_nanos": (Credits, "Daily limit", {"description": "Empty: no daily limit."}),
    "window_limit_nanos": (Credits, "Limit for a few hours", {"description": "Empty: no such limit."}),
    "window_hours": (Count, "Hours", {"lowest": 1, "highest": LONGEST_WINDOW}),
    "chats_per_month": (
        Count,
        "New chats a month",
        {"highest": MOST_COUNT, "description": "Empty: unlimited."},
    ),
    "parallel_calls": (Count, "Simultaneous answers", {"lowest": 1, "highest": 1000}),
    "models": (Names, "Models", {"description": "None selected: every model."}),
    "has_api": (BooleanField, "API access", {}),
    "status": (SelectField, "Status", {"choices": STATUSES}),
}
PACK_FIELDS: Kinds = {
    **{name: PLAN_FIELDS[name] for name in ("price_cents", "margin_bps")},
    "volume": (
        Tiers,
        "Volume",
        {"description": "One per line: a quantity and the margin from there on, such as 10: 45%."},
    ),
}
PRICE_FIELDS: Kinds = {
    **{
        f"{bucket}_nanos": (DollarsPerMillion, text, {"validators": [Required()]})
        for bucket, text in BUCKET_NAMES.items()
    },
    "image_nanos": (DollarsPerMillion, "An image", {}),
    "search_nanos": (DollarsPerMillion, "A search", {}),
}
SETTING_FIELDS: Kinds = {
    "overdraft": (Credits, "Overdraft", {}),
    "parallel_calls": (Count, "Simultaneous answers", {"lowest": 1, "highest": 1000}),
    "breaker_floor": (Credits, "Spending guard: never unusual below", {}),
    "breaker_floor_percent": (Count, "Or below this percentage of all purchases", {"highest": 100}),
    "payment_fee": (Percent, "Stripe's percentage fee", {"highest": 9999}),
    "payment_fee_cents": (Dollars, "Stripe's fixed fee", {}),
}


class Day(Typed):
    widget = DateInput()

    def read(self, text: str) -> date:
        try:
            typed = date.fromisoformat(text)
        except ValueError:
            raise ValueError("Enter a date, such as 2026-10-31.") from None
        return in_our_years(typed)


def last_30_days() -> tuple[date, date]:
    today = utcnow().date()
    return today - timedelta(days=30), today - timedelta(days=1)


class LabForm(RowForm):
    """What is the same for all installations."""

    name = StringField("Name of the run", validators=[Required(), Length(max=80)], default="Another model")
    first = Day("First day (UTC)", validators=[Required()])
    last = Day("Last day", validators=[Required()])
    is_simulated = BooleanField("Simulate made-up users (User kinds) instead of replaying")
    plan_ids = SelectMultipleField("Only accounts on", coerce=int, description="None selected: all plans.")
    kinds = SelectMultipleField("Only account types", choices=KINDS, description="None selected: all accounts.")


ALL_PLANS = select(Plan).where(~is_guest_account()).order_by(Plan.position, Plan.id)


def plans() -> list[Plan]:
    return list(db.session.scalars(ALL_PLANS))


def in_play(changed: Iterable[str]) -> list[Plan]:
    """The plans that somebody can choose or is on, in truth or in a simulation, and those that are `changed`."""
    used = (exists().where(table.plan_id == Plan.id) for table in (Account, Habit))
    wanted = or_(Plan.status == "active", Plan.id.in_([int(key) for key in changed]), *used)
    return list(db.session.scalars(ALL_PLANS.where(wanted)))


def packs() -> list[CreditPack]:
    return list(db.session.scalars(select(CreditPack).order_by(CreditPack.position, CreditPack.id)))


def images() -> dict[str, ImagePrice]:
    """What an image costs now, by model, quality and size."""
    return {kind_of_image(price): price for price in ImagePrice.holding(utcnow())}


def models() -> list[tuple[AIModel, ModelPrice]]:
    return AIModel.for_sale()


UNCHANGED: dict[str, Any] = {name: {} for name in PARTS}


class Builder:
    """A field for each figure of each row, its value, and the group that it stands in."""

    def __init__(self, scenario: Scenario | None) -> None:
        self.scenario = scenario
        self.changes = scenario.stored if scenario else UNCHANGED
        self.fields, self.data = dict[str, Any](), dict[str, Any]()
        self.groups = dict[str, tuple[str, ...]]()
        self.models = model_names()

    def add(self, table: str, key: str, title: str, row: Any, kinds: Kinds) -> None:
        """One row of what is sold, or of prices."""
        names = {column: f"{table}-{key}-{column}" for column in kinds}
        for column, (make, label, options) in kinds.items():
            read = {"choices": self.models} if make is Names else {}
            self.fields[names[column]] = make(label, **options | read)
            self.data[names[column]] = self.changes[table].get(key, {}).get(column, getattr(row, column))
        self.groups[title] = self.groups.get(title, ()) + tuple(names.values())

    def add_settings(self) -> None:
        for name, (make, label, bounds) in SETTING_FIELDS.items():
            self.fields[f"settings-{name}"] = make(label, validators=[Required()], **bounds)
            self.data[f"settings-{name}"] = self.changes["settings"].get(name, int(Setting.get(name)))
        self.groups["Settings"] = tuple(f"settings-{name}" for name in SETTING_FIELDS)

    def add_days(self) -> None:
        first, last = (self.scenario.first, self.scenario.last) if self.scenario else last_30_days()
        self.data |= {"first": first, "last": last}
        if self.scenario:
            groups = {"plan_ids": list(self.scenario.plan_ids), "kinds": list(self.scenario.kinds)}
            self.data |= groups | {"is_simulated": self.scenario.is_simulated}

    def form(self, typed: MultiDict[str, str] | None) -> LabForm:
        form: LabForm = type("FilledLabForm", (LabForm,), self.fields)(typed, data=self.data)
        form.plan_ids.choices = [SelectChoice(plan.id, sold_title(plan)) for plan in plans()]
        return form


def lab_form(
    scenario: Scenario | None = None, typed: MultiDict[str, str] | None = None
) -> tuple[LabForm, dict[str, tuple[str, ...]]]:
    """The form and its groups, filled with a scenario or with what there is, and with what was typed."""
    builder = Builder(scenario)
    for plan in in_play(builder.changes["plans"]):
        builder.add("plans", str(plan.id), f"Plan {sold_title(plan)}", plan, PLAN_FIELDS)
    for pack in packs():
        builder.add("packs", str(pack.id), f"Pack {sold_title(pack)}", pack, PACK_FIELDS)
    for model, price in models():
        builder.add("prices", model.name, f"Price of {model.title}, per million tokens", price, PRICE_FIELDS)
    for name, image in images().items():
        fields = {
            "price_nanos": (
                DollarsPerMillion,
                f"{image.quality} {image.size}",
                {"validators": [Required()], "lowest": 1},
            )
        }
        builder.add("images", name, f"Images of {image.model.title}, each", image, fields)
    builder.add_settings()
    builder.add_days()
    return builder.form(typed), builder.groups


def scenario_of(form: LabForm) -> Scenario:
    """What was typed that differs from what there is."""
    rows: dict[str, Mapping[str, Any]] = {
        "plans": {str(row.id): row for row in plans()},
        "packs": {str(row.id): row for row in packs()},
        "prices": {model.name: price for model, price in models()},
        "images": images(),
    }
    changes: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in rows}
    settings = dict[str, int]()
    for field in form:
        table, _, rest = field.name.partition("-")
        if table == "settings" and field.data != int(Setting.get(rest)):
            settings[rest] = field.data
        if table in rows:
            key, _, column = rest.rpartition("-")
            if field.data != getattr(rows[table][key], column):
                changes[table].setdefault(key, {})[column] = field.data
    first, last = cast(tuple[date, date], (form.first.data, form.last.data))
    return Scenario(
        first, last, tuple(form.plan_ids.data or ()), tuple(form.kinds.data or ()),
        settings=settings, is_simulated=form.is_simulated.data, **changes,
    )  # fmt: skip
