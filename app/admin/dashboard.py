"""The overview: what the business did, by day, each figure with its table and its CSV."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_admin import AdminIndexView, expose

from app.admin import business, image_prices, installation, stripe_moves, watchlist
from app.admin.access import AdminOnly
from app.admin.cell_formats import cost, money_text
from app.admin.dashboard_figures import Books, Range, books_of, plan_titles
from app.admin.price_review import price_alarms
from app.admin.provider_reports import alarms
from app.models.base import credits_figure, utcnow
from app.models.billing.call_audit import CallAudit
from app.models.metering import image_costs
from app.models.operations.replica_reads import read_from_replica
from app.web.charts import Chart, bar_chart
from app.web.csv import csv_table
from app.web.formatting import model_title, operation_title

Table = tuple[list[str], list[list[Any]]]


class Dashboard(AdminOnly, AdminIndexView):
    @expose("/")
    def index(self) -> str:
        now = utcnow()
        read_from_replica()
        within = range_asked_for()
        books = books_of(within)
        credits_owed, allowance_owed = watchlist.liability()
        trend = business.recurring_trend(now)
        return self.render(
            "admin/dashboard.html",
            within=within,
            ranges=[(days, now.date() - timedelta(days=days - 1), now.date()) for days in (7, 30, 90, 365)],
            books=books,
            comparison=comparison(within),
            trend=trend,
            credits_owed=credits_owed,
            allowance_owed=allowance_owed,
            charts=[*charts_of(books), recurring_chart(trend)],
            tables={name: table(books) for name, table in TABLES.items()},
            risks=watchlist.at_risk(now.date()),
            call_audit=CallAudit.last(),
            alarms=alarms(),
            missing=installation.alarms(),
            price_alarms=price_alarms(),
            image_alarms=image_prices.alarms(),
            images=image_costs.totals(within.first, within.last),
            move=stripe_moves.move(),
            money_text=money_text,
            cost=cost,
        )

    @expose("/csv/<table>/")
    def csv_view(self, table: str) -> ResponseReturnValue:
        """A table of the overview for a spreadsheet."""
        if table not in TABLES:
            abort(404)
        read_from_replica()
        headings, rows = TABLES[table](books_of(range_asked_for()))
        return csv_table(table, headings, rows)


def range_asked_for() -> Range:
    return Range.typed(request.args.get("from"), request.args.get("to"), utcnow().date())


def charts_of(books: Books) -> list[Chart]:
    days = [day.day for day in books.days]
    money = {
        "revenue": [day.revenue_cents for day in books.days],
        "left": [day.left_cents for day in books.days],
    }
    costs = {
        "provider cost": [day.cost_nanos for day in books.days],
        "absorbed": [day.absorbed_nanos for day in books.days],
    }
    people = {"active accounts": [day.accounts for day in books.days]}
    moves = {"new subscriptions": [day.new for day in books.days], "lost": [day.lost for day in books.days]}
    return [
        bar_chart("Revenue and gross margin", days, money, money_text),
        bar_chart("Provider cost", days, costs, cost),
        bar_chart("Active accounts", days, people, str),
        bar_chart("Subscriptions", days, moves, str),
    ]


def recurring_chart(trend: list[tuple[datetime, int]]) -> Chart:
    days, cents = [at.date() for at, _ in trend], [cents for _, cents in trend]
    return bar_chart("Monthly recurring revenue", days, {"every 30 days": cents}, money_text)


def comparison(within: Range) -> list[tuple[str, str, str]]:
    """(what, in this period, in as many before them)."""
    now, then = business.figures_of(within), business.figures_of(business.before(within))
    rows: list[tuple[str, str, Callable[[Any], str]]] = [
        ("Revenue after refunds, disputes and tax", "revenue_cents", money_text),
        ("Stripe's fee (estimated)", "fee_cents", money_text),
        ("Monthly recurring at the end", "mrr_cents", money_text),
        ("Revenue per paying account", "arpu_cents", money_text),
        ("Subscriptions lost (churn)", "churn", rate),
        ("New accounts that have paid", "free_to_paid", rate),
    ]
    return [(title, write(getattr(now, name)), write(getattr(then, name))) for title, name, write in rows]


def rate(percent: int | None) -> str:
    return "" if percent is None else f"{percent}%"


def sold_table(kind: str, find: Callable[[Books], list[business.Sold]]) -> Callable[[Books], Table]:
    cost_heading = "Provider cost" if kind == "Plan" else "Cost of its credits"
    headings = [kind, "Payments", "Revenue", "Stripe's fee", cost_heading, "Margin", "Margin %"]

    def table(books: Books) -> Table:
        return headings, [
            [line.name, line.payments, money_text(line.revenue_cents), money_text(line.fee_cents),
             cost(line.cost_nanos), money_text(line.margin_cents),
             rate(business.percent(line.margin_cents, line.revenue_cents))]
            for line in find(books)
        ]  # fmt: skip

    return table


def days_table(books: Books) -> Table:
    headings = [
        "Day",
        "Revenue",
        "Provider cost",
        "Absorbed",
        "Guests",
        "Left",
        "Calls",
        "Active accounts",
        "New",
        "Lost",
    ]
    rows = [
        [day.day, money_text(day.revenue_cents), cost(day.cost_nanos), cost(day.absorbed_nanos),
         cost(day.house_nanos), money_text(day.left_cents), day.calls, day.accounts, day.new, day.lost]
        for day in books.days
    ]  # fmt: skip
    return headings, rows


TITLES: dict[str, Callable[[str], str]] = {"model": model_title, "operation": operation_title}


def use_table(kind: str) -> Callable[[Books], Table]:
    def table(books: Books) -> Table:
        ranked = sorted(books.by[kind].items(), key=lambda item: -item[1]["cost_nanos"])
        headings = [
            kind.capitalize(),
            "Calls",
            "Input tokens",
            "Output tokens",
            "Cost",
            "Paid (credits)",
            "Absorbed",
        ]
        write = plan_titles().get if kind == "plan" else TITLES.get(kind, str)
        return headings, [[write(name), *use_cells(sums)] for name, sums in ranked]

    return table


def use_cells(sums: dict[str, int]) -> list[Any]:
    counts = [sums["calls"], sums["input_tokens"], sums["output_tokens"]]
    return [
        *counts,
        cost(sums["cost_nanos"]),
        credits_figure(sums["paid_nanos"]),
        cost(sums["absorbed_nanos"]),
    ]


def top_table(find: Callable[[Range], list[Any]]) -> Callable[[Books], Table]:
    def table(books: Books) -> Table:
        headings = ["Account", "Name", "Provider cost", "Paid in", "Loss", "Absorbed"]
        rows = [
            [row.id, row.name, cost(row.cost), money_text(int(row.revenue_cents)),
             cost(max(0, int(row.loss))), cost(row.absorbed)]
            for row in find(books.within)
        ]  # fmt: skip
        return headings, rows

    return table


def refusal_table(books: Books) -> Table:
    return ["Code", "Times", "Accounts"], [list(row) for row in watchlist.refusals(books.within)]


TABLES: dict[str, Callable[[Books], Table]] = {
    "days": days_table,
    "plans": sold_table("Plan", business.sold_plans),
    "packs": sold_table("Pack", business.sold_packs),
    "model": use_table("model"),
    "operation": use_table("operation"),
    "kind": use_table("kind"),
    "plan": use_table("plan"),
    "dearest": top_table(watchlist.dearest),
    "losing": top_table(watchlist.losing),
    "refusals": refusal_table,
}
