"""A run of the lab as figures, tables and charts: as it was beside as it would be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.admin.cell_formats import column_text, cost, credits_text, money_text, per_million, percent, sold_title
from app.admin.cell_links import ACCOUNT_NAME
from app.extensions import db
from app.lab.report import SIDES, Report
from app.lab.scenario import PARTS, Scenario
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.worth import in_cents
from app.models.identity.account import Account
from app.models.operations.lab_run import LabRun
from app.web.charts import Chart, bar_chart

Table = tuple[list[str], list[list[Any]]]
HEADINGS = ["Revenue", "Stripe's fee", "Provider cost", "Absorbed", "Left", "Answers", "Refused"]
WRITTEN: dict[str, Callable[[Any], str]] = {
    "margin_bps": percent,
    "payment_fee": percent,
    "price_cents": money_text,
    "surcharge_cents": money_text,
    "payment_fee_cents": money_text,
    "overdraft": credits_text,
    "breaker_floor": credits_text,
    "breaker_floor_percent": "{}%".format,
    "volume": lambda pairs: ", ".join(f"{quantity} at {percent(margin)}" for quantity, margin in pairs),
    "allowance_override_nanos": credits_text,
    "daily_limit_nanos": credits_text,
    "window_limit_nanos": credits_text,
}


CALLED = {
    "breaker_floor": "spending guard never below",
    "breaker_floor_percent": "spending guard never below, as a share of purchases:",
    "payment_fee": "Stripe's share",
    "payment_fee_cents": "Stripe's fixed fee",
}
"""What a change is called that its column does not say."""


@dataclass(frozen=True, slots=True)
class Total:
    """One figure of a run, on both sides."""

    title: str
    was: str
    then: str
    topic: str


def left(report: Report, side: str, day: str = "", plan_id: str = "") -> int:
    """What is left, in cents: revenue, less Stripe's fee, less what the providers cost."""
    sums = {name: report.total(side, name, day, plan_id) for name in ("revenue_cents", "fee_cents", "cost_nanos")}
    return sums["revenue_cents"] - sums["fee_cents"] - in_cents(sums["cost_nanos"])


def figures(report: Report, side: str, day: str = "", plan_id: str = "") -> list[str]:
    """In the order of `HEADINGS`."""

    def total(name: str) -> int:
        return report.total(side, name, day, plan_id)

    money = money_text(total("revenue_cents")), money_text(total("fee_cents"))
    costs = cost(total("cost_nanos")), cost(total("absorbed_nanos"))
    counts = f"{total('calls'):,}", f"{total('refused'):,}"
    return [*money, *costs, money_text(left(report, side, day, plan_id)), *counts]


TOPICS = ("money", "money", "use", "use", "money", "use", "refusals")


def totals_of(report: Report) -> list[Total]:
    both = zip(HEADINGS, figures(report, "was"), figures(report, "then"), TOPICS, strict=True)
    return [Total(title, was, then, topic) for title, was, then, topic in both]


def keys(report: Report, part: int) -> list[str]:
    return sorted({key.split()[part] for key in report.days})


def by_day(report: Report) -> Table:
    """A row for each day and plan."""
    names = plan_names()
    rows = [
        [day, names.get(plan_id, plan_id), *beside(report, day, plan_id)]
        for day, plan_id in sorted(key.split() for key in report.days)
    ]
    return ["Day", "Plan", *doubled()], rows


def by_plan(report: Report) -> Table:
    names = plan_names()
    rows = [[names.get(plan_id, plan_id), *beside(report, "", plan_id)] for plan_id in keys(report, 1)]
    return ["Plan", *doubled()], rows


def plan_names() -> dict[str, str]:
    return titles_in(Plan)


def titles_in(table: type[Plan] | type[CreditPack]) -> dict[str, str]:
    """What each row is called, by its id as JSON has it."""
    return {str(row.id): sold_title(row) for row in db.session.execute(select(table.id, table.name, table.status))}


def doubled() -> list[str]:
    return [name for heading in HEADINGS for name in (heading, f"{heading}, then")]


def beside(report: Report, day: str, plan_id: str) -> list[str]:
    both = zip(*(figures(report, side, day, plan_id) for side in SIDES), strict=True)
    return [figure for pair in both for figure in pair]


def codes(report: Report) -> Table:
    every = sorted({*report.codes["was"], *report.codes["then"]})
    rows = [[code, report.codes["was"].get(code, 0), report.codes["then"].get(code, 0)] for code in every]
    return ["Code", "Was", "Would be"], rows


def refused(which: str) -> Callable[[Report], Table]:
    def table(report: Report) -> Table:
        rows: list[list[Any]] = getattr(report, which)
        is_made_up = report.scenario.get("is_simulated")
        names = {} if is_made_up else account_names(row[1] for row in rows)
        return ["When (UTC)", "Account", "Name", "Model", "Code"], [
            [at[:19].replace("T", " "), account_id, names.get(account_id, ""), *rest] for at, account_id, *rest in rows
        ]

    return table


def account_names(ids: Iterable[int]) -> dict[int, str]:
    """Of accounts that exist."""
    rows = db.session.execute(select(Account.id, ACCOUNT_NAME).where(Account.id.in_(set(ids))))
    return {row.id: row.name for row in rows}


def accounts(which: str) -> Callable[[Report], Table]:
    def table(report: Report) -> Table:
        rows: list[list[Any]] = getattr(report, which)
        names = account_names(row[0] for row in rows)
        cells = [
            [account_id, name or names.get(account_id, ""), money_text(cents), refusals, credits_text(nanos)]
            for account_id, name, cents, refusals, nanos in rows
        ]
        return ["Account", "Name", "Pays more", "More refusals", "More credits"], cells

    return table


def answers(report: Report) -> Table:
    """How many average answers $10 buys, of each plan and pack that has a price."""
    rows = [[name, *("" if count is None else f"{count:,}" for count in counts)] for name, *counts in report.answers]
    return ["Sold", "Was", "Would be"], rows


TABLES: dict[str, Callable[[Report], Table]] = {
    "plan": by_plan,
    "answers": answers,
    "codes": codes,
    "newly_refused": refused("newly_refused"),
    "newly_admitted": refused("newly_admitted"),
    "worse": accounts("worse"),
    "better": accounts("better"),
    "day": by_day,
}


def charts_of(report: Report, scenario: Scenario) -> list[Chart]:
    days = scenario.days
    if not report.days:
        return []

    def lines(measure: Callable[[str, str], int]) -> dict[str, list[int]]:
        sides = {"as it was": "was", "as it would be": "then"}
        return {name: [measure(side, day.isoformat()) for day in days] for name, side in sides.items()}

    return [
        bar_chart("Left", days, lines(lambda side, day: left(report, side, day)), money_text),
        bar_chart("Revenue", days, lines(lambda side, day: report.total(side, "revenue_cents", day)), money_text),
        bar_chart("Provider cost", days, lines(lambda side, day: report.total(side, "cost_nanos", day)), cost),
        bar_chart("Refused", days, lines(lambda side, day: report.total(side, "refused", day)), str),
    ]


def changes_of(run: LabRun) -> list[str]:
    """What a run changes, in words."""
    names = {"plans": titles_in(Plan), "packs": titles_in(CreditPack)}
    texts = [
        f"{names.get(table, {}).get(key, key)}: {CALLED.get(column) or column_text(column)} {written(column, value)}"
        for table in PARTS[:-1]
        for key, columns in run.scenario.get(table, {}).items()
        for column, value in columns.items()
    ]
    settings = run.scenario.get("settings", {}).items()
    return texts + [f"{CALLED.get(name) or column_text(name)} {written(name, value)}" for name, value in settings]


def written(column: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if column not in WRITTEN and column.endswith("_nanos"):
        return per_million(value)
    return WRITTEN.get(column, str)(value)
