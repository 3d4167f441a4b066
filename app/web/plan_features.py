"""A plan's features in words, made from its columns: the one place for cards, tables, the API and mails."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from app.models.base import credits_figure as credits
from app.models.base import credits_text, grouped
from app.models.catalog.currency import decimals
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.quote import Quote
from app.models.catalog.setting import Setting
from app.models.catalog.worth import about_a_dollar, currency
from app.web.formatting import counted as counted_text
from app.web.formatting import deadline, model_title, number, price

MOST_NAMED = 3
"""Above this many models a card says how many there are; the table names them all."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a plan gives or limits. `name` heads its row of a table, `cell` stands in it, `text` is for a
    list; a feature that is `is_missing` is worth saying in a table alone."""

    key: str
    name: str
    cell: str
    text: str
    is_missing: bool = False


def starts_free() -> bool:
    """Whether a new account has something to begin with before anything is paid."""
    default = Plan.by(is_default=True)
    return bool(Setting.get("welcome_credit") or (default and default.allowance_nanos))


def features(plan: Plan, *, is_team: bool = False) -> list[Feature]:
    """Everything that the plan's columns say, in the order of a card. A team gets nothing for free."""
    for_people = (trial, allowance) if plan.is_free else (trial,)
    told = [made for made in FEATURES if not (is_team and made in for_people)]
    return [feature for made in told for feature in made(plan)]


def selling_points(plan: Plan, *, is_team: bool = False) -> list[str]:
    """What it gives, line by line, then what no column knows."""
    told = features(plan, is_team=is_team)
    return [feature.text for feature in told if not feature.is_missing] + list(plan.bullets)


def card_points(plan: Plan, is_team: bool = False) -> list[str]:
    """The same for its card, whose box says the allowance already."""
    return selling_points(plan, is_team=is_team)[0 if is_team and plan.is_free else 1 :]


def comparison(plans: list[Plan], is_team: bool = False) -> list[tuple[str, list[str]]]:
    """The rows of a table over the plans: a feature's name, and a cell for each plan."""
    columns = [{feature.key: feature for feature in features(plan, is_team=is_team)} for plan in plans]
    names = {feature.key: feature.name for column in columns for feature in column.values()}
    return [(name, [column[key].cell if key in column else "—" for column in columns]) for key, name in names.items()]


def allowance(plan: Plan) -> Iterator[Feature]:
    nanos = plan.allowance_nanos
    text = f"{credits_text(nanos)} a month" if nanos else "No monthly credits"
    yield Feature("allowance", "Credits a month", credits(nanos) if nanos else "—", text)
    if nanos:
        yield from limits_of_time(plan)


def limits_of_time(plan: Plan) -> Iterator[Feature]:
    """What of the allowance may be used when; bought credits have no such limit."""
    if plan.daily_limit_nanos is not None:
        limit = plan.daily_limit_nanos
        yield Feature("daily_limit", "Daily limit", credits(limit), f"Up to {credits_text(limit)} a day")
    if plan.window_hours is not None and plan.window_limit_nanos is not None:
        hours, limit = counted_text(plan.window_hours, "hour"), plan.window_limit_nanos
        text = f"Up to {credits_text(limit)} in {hours}"
        yield Feature("window_limit", "Limit for a few hours", f"{credits(limit)} in {hours}", text)


def models(plan: Plan) -> Iterator[Feature]:
    if not plan.models:
        yield Feature("models", "Models", "All", "Every model")
        return
    titles = [model_title(name) for name in plan.models]
    short = ", ".join(titles) if len(titles) <= MOST_NAMED else f"{len(titles)} models"
    text = f"Only {short}" if len(titles) <= MOST_NAMED else f"{short}: {', '.join(titles)}"
    yield Feature("models", "Models", ", ".join(titles), text)


def counted(key: str, name: str, noun: str, *, within: str = " a month") -> Callable[[Plan], Iterator[Feature]]:
    """A feature that counts: `key` is the column, None where there is no limit."""

    def made(plan: Plan) -> Iterator[Feature]:
        limit = getattr(plan, key)
        if limit is None:
            yield Feature(key, name, "Unlimited", f"Unlimited {noun}s")
        elif limit == 0:
            yield Feature(key, name, "—", f"No {noun}s", is_missing=True)
        else:
            yield Feature(key, name, number(limit), f"{counted_text(limit, noun)}{within}")

    return made


def answers_at_once(plan: Plan) -> Iterator[Feature]:
    count = plan.parallel_calls or Setting.get("parallel_calls")
    yield Feature("parallel_calls", "Simultaneous answers", number(count), f"{counted_text(count, 'answer')} at once")


def flag(key: str, name: str, given: str, missing: str) -> Callable[[Plan], Iterator[Feature]]:
    """A feature that is there or not."""

    def made(plan: Plan) -> Iterator[Feature]:
        has = getattr(plan, key)
        yield Feature(key, name, "Yes" if has else "—", given if has else missing, is_missing=not has)

    return made


def extra_credits(plan: Plan) -> Iterator[Feature]:
    if plan.allows_packs:
        yield Feature("allows_packs", "Extra credits", "Yes", "Buy more credits anytime")
    else:
        yield Feature("allows_packs", "Extra credits", "—", "A hard limit: no extra charges")


def trial(plan: Plan) -> Iterator[Feature]:
    if plan.trial_days and plan.price_cents:
        days = counted_text(plan.trial_days, "day")
        yield Feature("trial_days", "Free trial", days, f"{days} to try it for free")


FEATURES: tuple[Callable[[Plan], Iterator[Feature]], ...] = (
    allowance,
    models,
    counted("chats_per_month", "New chats a month", "new chat"),
    counted("documents", "Documents", "document", within=""),
    counted("images_per_month", "Images a month", "image"),
    answers_at_once,
    extra_credits,
    flag("has_api", "API access", "API access", "No API access"),
    flag("has_priority_support", "Priority support", "Priority support", "Standard support"),
    trial,
    flag("has_custom_branding", "Custom branding", "Your own name, logo and colour", "No custom branding"),
)


def trial_offer(plan: Plan, now: datetime) -> str:
    """What a trial is, before the button: "7 days free with 3,383 credits, then $79 a month. Cancel before ..."."""
    last = deadline(now + timedelta(days=plan.trial_days))
    days = counted_text(plan.trial_days, "day")
    terms = f"then {price(plan.asked_cents, plan.currency)} a {plan.interval}"
    return f"{days} free with {credits_text(plan.trial_nanos)}, {terms}. Cancel before {last} and pay nothing."


def sale_note(plan: Plan) -> str:
    """Until when its sale price is, and what comes of it: nothing where there is none."""
    if plan.sale_ends_at is None or not plan.is_on_sale:
        return ""
    full, last = price(plan.price_cents, plan.currency), deadline(plan.sale_ends_at)
    return f"{full} afterwards. Subscribe before {last} to keep this price."


def credits_near_a_dollar(per_unit: Decimal) -> str:
    """So many credits for each unit of the currency, as credits for a round amount of it."""
    count = per_unit * about_a_dollar() / 10 ** decimals(currency())
    return grouped(count.quantize(Decimal(1), ROUND_HALF_UP))


def per_dollar(sold: Plan | CreditPack | Quote) -> str:
    """Its credits for a round amount of the currency, to compare what is sold: "500 credits per $1"."""
    return f"{credits_near_a_dollar(sold.credits_per_dollar)} credits per {price(about_a_dollar())}"


FILTERS = {
    "card_points": card_points,
    "comparison": comparison,
    "near_a_dollar": credits_near_a_dollar,
    "per_dollar": per_dollar,
    "sale_note": sale_note,
}
