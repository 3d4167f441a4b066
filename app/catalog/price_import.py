"""The price list against genai-prices: what is new, changed, announced or gone. It proposes; a person approves."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import select

from app.catalog.price_source import Quote, listed_models
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import FIGURES, ModelPrice
from app.models.catalog.price_ahead import counted
from app.models.catalog.price_schedule import (
    DAYS,
    EVERY_DAY,
    Schedule,
    dates_in,
    in_force,
    zone_named,
)
from app.models.metering.refusal import PricingError

SOURCE = "genai-prices"
YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Finding:
    """Where list and source differ for a model, from a moment on, at the times of a schedule.

    kind: new (the list has no price), changed, future (announced), disagrees (a person's own price differs),
    gone (the source has no price anymore). `old` is what the list says for that time, `new` what the source says.
    """

    kind: str
    model: AIModel
    old: ModelPrice | None
    new: Quote | None

    @property
    def summary(self) -> str:
        """The finding for a person: a heading, and under it each figure that differs, old beside new."""
        if self.new is None:
            return f"gone       {self.model.name}: genai-prices has no price for it anymore"
        times = times_of(self.new.schedule)
        heading = f"{self.kind:<10} {self.model.name} from {self.new.effective_from:%Y-%m-%d %H:%M}"
        listed = figures_of(self.old) if self.old else dict.fromkeys(STATED)
        lines = (
            f"           {column.removesuffix('_nanos'):<20} {shown(column, listed[column])} -> {shown(column, figure)}"
            for column, figure in self.new.figures.items()
            if figure != listed[column]
        )
        return "\n".join([f"{heading}, {times}" if times else heading, *lines])


def times_of(schedule: Schedule) -> str:
    """When a price holds, in words; empty where it always does."""
    hours = f"{clock(schedule.from_minute)} to {clock(schedule.until_minute)} {schedule.zone}"
    days = "" if schedule.weekdays == EVERY_DAY else f" on {days_text(schedule.weekdays)}"
    excepted = len(schedule.excepted_dates.split())
    besides = f", but not on {excepted} dates" if excepted else ""
    return "" if schedule.is_always else f"{hours}{days}{besides}"


def days_text(weekdays: str) -> str:
    """Mon to Fri, or Mon, Thu."""
    is_run = len(weekdays) > 2 and weekdays in EVERY_DAY
    names = [DAYS[int(day) - 1] for day in weekdays]
    return f"{names[0]} to {names[-1]}" if is_run else ", ".join(names)


def shown(column: str, figure: int | None) -> str:
    """A price in dollars, for a million tokens or one search; a threshold in tokens."""
    if figure is None:
        return "none"
    return f"${Decimal(figure).scaleb(-9):f}" if column.endswith("_nanos") else f"{figure:,}"


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def compare(at: datetime, names: tuple[str, ...] = ()) -> list[Finding]:
    """Every difference between the approved list and the source, from that moment on; writes nothing."""
    from app.catalog.vendor_prices import vendor  # noqa: PLC0415 - a web process needs it on one page

    query = select(AIModel).order_by(AIModel.position, AIModel.id)
    models = db.session.scalars(query.where(AIModel.name.in_(names)) if names else query)
    sourced = [model for model in models if vendor(model.provider.name)]
    return [finding for model in sourced for finding in compare_model(model, at)]


def compare_model(model: AIModel, at: datetime) -> Iterator[Finding]:
    from app.catalog.vendor_prices import quotes  # noqa: PLC0415 - as above

    try:
        listed = {entry["name"]: entry for entry in listed_models()}
        stated = quotes(listed.get(model.name, {"provider": model.provider.name, "name": model.name}))
    except PricingError:
        if any(price.approved_at and price.source == SOURCE for price in model.prices):
            yield Finding("gone", model, in_force(counted(model), at), None)
        return
    begun = max(quote.effective_from for quote in stated if quote.effective_from <= at)
    for start in sorted({quote.effective_from for quote in stated if quote.effective_from >= begun}):
        yield from compare_quotes(model, [quote for quote in stated if quote.effective_from == start], at)


def compare_quotes(model: AIModel, quotes: list[Quote], at: datetime) -> Iterator[Finding]:
    """The source's rows of one day. Today's begin now, where they are not on the list; announced ones on their day.

    A row of all hours would hide those of some hours that began before it: with it all of that day are proposed.
    """
    begins = max(at, quotes[0].effective_from)
    source = [replace(quote, effective_from=begins) for quote in quotes]
    moments = moments_of([*(quote.schedule for quote in source), *(p.schedule for p in counted(model))], begins)
    differing: dict[int, ModelPrice | None] = {}
    for moment in moments:
        quote, old = in_force(source, moment), in_force(counted(model), moment)
        if quote and (old is None or figures_of(old) != quote.figures):
            differing.setdefault(source.index(quote), old)
    is_whole = any(source[index].schedule.is_always for index in differing)
    for index in range(len(source)) if is_whole else sorted(differing):
        old = differing.get(index) or first_held(model, source[index], moments)
        yield Finding(kind_of(old, source[index], at), model, old, source[index])


def first_held(model: AIModel, quote: Quote, moments: list[datetime]) -> ModelPrice | None:
    """What the list says for the first moment of the quote."""
    held = (in_force(counted(model), moment) for moment in moments if quote.schedule.covers(moment))
    return next((price for price in held if price), None)


def moments_of(schedules: list[Schedule], begins: datetime) -> list[datetime]:
    """One moment of each piece of time, from then on for a year, in which one set of the schedules holds."""
    if all(schedule.is_always for schedule in schedules):
        return [begins]
    moments = {begins}
    for schedule in schedules:
        start = begins.astimezone(zone_named(schedule.zone)).date()
        week = {start + timedelta(days=days) for days in range(8)}
        excepted = {day for day in dates_in(schedule.excepted_dates) if start <= day <= start + YEAR}
        for day in week | excepted:
            midnight = datetime.combine(day, time(), zone_named(schedule.zone))
            moments |= {midnight + timedelta(minutes=m) for m in (0, schedule.from_minute, schedule.until_minute)}
    return sorted(moment.astimezone(UTC) for moment in moments if moment >= begins)


def kind_of(old: ModelPrice | None, new: Quote, at: datetime) -> str:
    if old is None:
        return "new"
    if old.source != SOURCE:
        return "disagrees"
    return "future" if new.effective_from > at else "changed"


def propose(findings: list[Finding], names: tuple[str, ...] = ()) -> list[Finding]:
    """Write an unapproved row for each finding that has none yet, and withdraw those that no longer hold.

    Returns the findings that were written.
    """
    waiting = pending(names)
    kept: list[ModelPrice] = []
    written: list[Finding] = []
    for finding in findings:
        same = [price for price in waiting if finding.new and is_proposed(price, finding)]
        kept += same
        if finding.new and not same:
            finding.model.prices.append(ModelPrice(**finding.new.columns, source=SOURCE))
            written.append(finding)
    for price in waiting:
        if price not in kept:
            db.session.delete(price)
    db.session.flush()
    return written


def is_proposed(price: ModelPrice, finding: Finding) -> bool:
    """Whether a waiting row says what was found. One that begins at once may have been written earlier."""
    quote = finding.new
    if quote is None or price.model_id != finding.model.id or figures_of(price) != quote.figures:
        return False
    begins = price.effective_from == quote.effective_from or finding.kind != "future"
    return begins and price.schedule == quote.schedule


def pending(names: tuple[str, ...] = ()) -> list[ModelPrice]:
    """The proposals that wait for a person."""
    query = select(ModelPrice).join(AIModel).where(ModelPrice.approved_at.is_(None), ModelPrice.source == SOURCE)
    query = query.where(AIModel.name.in_(names)) if names else query
    return list(db.session.scalars(query.order_by(ModelPrice.id)))


def approve(findings: list[Finding], names: tuple[str, ...]) -> list[ModelPrice]:
    """Approve what waits; where a person's own price differs, only by the model's name."""
    contested = set() if names else {finding.model.id for finding in findings if finding.kind == "disagrees"}
    approved = [price for price in pending(names) if price.model_id not in contested]
    now = utcnow()
    for price in approved:
        price.approve(at=now)
    return approved


STATED = [column for column in FIGURES if column != "image_nanos"]


def figures_of(price: ModelPrice) -> dict[str, int | None]:
    """The columns that the source can state; a price per image is always a person's."""
    return {column: getattr(price, column) for column in STATED}
