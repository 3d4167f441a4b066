"""What providers reported beside tokens in the last 30 days: amounts billed, models that answered, unpriced pieces."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from flask_admin import expose
from sqlalchemy import case, func, or_, select

from app.admin.cell_formats import cost
from app.admin.model_view import AdminPage
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import ORDINARY, price_tier
from app.models.catalog.served_model import is_asked
from app.models.metering.usage import Usage

DAYS = 30
ALARM_PERCENT = 5
ITS_OWN, NOT_LISTED = "its own price", "not listed"
IS_BILLED = Usage.billed_nanos.is_not(None)


class ReportPage(AdminPage):
    @expose("/")
    def index(self) -> str:
        rows = served()
        return self.render(
            "admin/provider_reports.html",
            costs=[cells_of(row) for row in costs()],
            others=others(rows),
            tiers=tiers(rows),
            learned=learned(),
            unstated=unstated(),
            alarms=alarms(DAYS),
        )


def lately(days: int) -> tuple[Any, ...]:
    return (Usage.settled_at >= utcnow() - timedelta(days=days),)


def costs(days: int = DAYS) -> list[Any]:
    """By model: its calls, what we absorbed, and where the provider says what it billed, that beside our list price."""
    listed = func.sum(case((IS_BILLED, Usage.cost_nanos), else_=0)).label("listed")
    return list(
        db.session.execute(
            select(
                Usage.model,
                func.count().label("calls"),
                func.sum(case((Usage.source == "estimated", 1), else_=0)).label("counted_here"),
                func.sum(Usage.absorbed_nanos).label("absorbed"),
                func.count(Usage.billed_nanos).label("billed_calls"),
                listed,
                func.sum(Usage.billed_nanos).label("billed"),
                func.sum(Usage.unpriced_pieces).label("unpriced"),
            )
            .where(*lately(days))
            .group_by(Usage.model)
            .order_by(func.sum(Usage.cost_nanos).desc(), Usage.model)
        )
    )


def difference(row: Any) -> int | None:
    """By how many percent what was billed differs from our list price; None where nobody says."""
    if not row.billed_calls or not row.listed:
        return None
    return int((int(row.billed) - int(row.listed)) * 100 // int(row.listed))


def cells_of(row: Any) -> list[Any]:
    percent = difference(row)
    told = "" if percent is None else f"{percent:+}%"
    figures = [row.model, row.calls, row.counted_here, cost(int(row.absorbed or 0))]
    evidence = ["", "", ""] if percent is None else [cost(int(row.listed)), cost(int(row.billed)), told]
    return [*figures, *evidence, int(row.unpriced or 0) or ""]


def served(days: int = DAYS) -> list[Any]:
    """Who answered and at which tier: (asked, answered, tier, tier of the price, calls, cost)."""
    told = Usage.model, Usage.answered_model, Usage.service_tier, ModelPrice.service_tier
    figures = func.count(), func.sum(Usage.cost_nanos)
    rows = select(*told, *figures).join(Usage.price).where(*lately(days)).group_by(*told)
    return list(db.session.execute(rows.order_by(Usage.model)))


def others(rows: list[Any]) -> list[list[Any]]:
    """(asked, answered, calls, cost, whether listed): where another model answered than the one that was asked."""
    models = {model.name: model for model in db.session.scalars(select(AIModel))}
    answered: Counter[tuple[str, str]] = Counter()
    nanos: Counter[tuple[str, str]] = Counter()
    for asked, name, _tier, _of_price, calls, cost_nanos in rows:
        if name is not None and name != asked:
            answered[asked, name] += calls
            nanos[asked, name] += int(cost_nanos or 0)
    return [
        [asked, name, calls, cost(nanos[asked, name]), priced_by(name, asked, models)]
        for (asked, name), calls in answered.items()
        if asked not in models or priced_by(name, asked, models) == ITS_OWN or not is_asked(name, models[asked])
    ]


def priced_by(answered: str, asked: str, models: Mapping[str, AIModel]) -> str:
    """Whether the one that answered is another row of the price list."""
    rows = (model for model in models.values() if answered in (model.name, model.upstream_name))
    return ITS_OWN if any(model.name != asked for model in rows) else NOT_LISTED


def tiers(rows: list[Any]) -> list[list[Any]]:
    """(model, tier, calls, cost): what was served at a tier that the price list does not have."""
    calls: Counter[tuple[str, str]] = Counter()
    nanos: Counter[tuple[str, str]] = Counter()
    for model, _name, tier, of_price, count, cost_nanos in rows:
        if price_tier(tier) not in (ORDINARY, of_price):
            calls[model, tier] += count
            nanos[model, tier] += int(cost_nanos or 0)
    return [[*which, count, cost(nanos[which])] for which, count in calls.items()]


def learned() -> list[list[Any]]:
    """(model, how its limit is named, what its host adds): what calls have taught."""
    taught = or_(AIModel.limit_name.is_not(None), AIModel.extra_input_tokens > 0)
    rows = db.session.scalars(select(AIModel).where(taught).order_by(AIModel.name))
    return [[model.name, model.limit_name or "", model.extra_input_tokens or ""] for model in rows]


def unstated() -> list[str]:
    """The models on sale of which nobody has stated what their host adds to a prompt."""
    return [model.name for model, _ in AIModel.for_sale() if model.extra_input_tokens is None]


def alarms(days: int = 1) -> list[str]:
    """What an admin should look at, in sentences: of the last day for the overview, which goes over no more calls."""
    rows = served(days)
    answered = (answer_alarm(row) for row in others(rows) if row[-1] == NOT_LISTED)
    return [*billing_alarms(days), *answered, *(tier_alarm(row) for row in tiers(rows))]


def billing_alarms(days: int) -> Iterator[str]:
    for row in costs(days):
        percent = difference(row)
        if percent is not None and abs(percent) > ALARM_PERCENT:
            figures = f"{cost(int(row.billed))} for {row.billed_calls} calls, our list says {cost(int(row.listed))}"
            yield f"{row.model}: its provider billed {figures} ({percent:+}%)."
        if row.unpriced:
            billed = f"{row.unpriced} searches, tokens of images or sound, or other pieces"
            yield f"{row.model}: {billed} were billed that have no price here."


def tier_alarm(row: list[Any]) -> str:
    model, tier, calls, nanos = row
    return f"{model}: {calls} calls ({nanos}) were served at the tier {tier}, which has no price here."


def answer_alarm(row: list[Any]) -> str:
    asked, name, calls, nanos, _listed = row
    return f"{asked}: {calls} calls ({nanos}) were answered by {name}, which is not in the price list."
