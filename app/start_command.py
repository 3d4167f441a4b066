"""`flask start`: four questions, the plans and packs that they come to, and what three months of them would leave."""

from decimal import Decimal
from typing import Any

import click
from flask.cli import with_appcontext

from app.catalog.first_offer import Answers, write_offer
from app.catalog.projection import lines_of, months_of
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.base import credits_text
from app.models.billing.currency_choice import choose_currency
from app.models.catalog.currency import CURRENCIES, decimals
from app.models.metering.refusal import InvalidRequest, PricingError
from app.web.formatting import money_text, percent
from app.web.numbers import exact


class Figure(click.ParamType[int]):
    """A number as people write it, kept in whole units: $20 as cents, 50 % as basis points; money by its currency."""

    name = "number"

    def __init__(self, unit: int | None, highest: int) -> None:
        self.unit, self.highest = unit, highest

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        unit = self.unit or 10 ** decimals(ctx.params["currency"] if ctx else "usd")
        try:
            units = exact(value, unit)
        except ValueError as fault:
            self.fail(str(fault), param, ctx)
        if not 0 <= units <= self.highest:
            self.fail(f"must be between 0 and {Decimal(self.highest) / unit:f}.", param, ctx)
        return units


@click.command()
@click.option(
    "--currency",
    type=click.Choice(CURRENCIES),
    default="usd",
    is_eager=True,
    metavar="CODE",
    help="The currency you sell in, such as eur.",
)
@click.option(
    "--rate",
    type=Figure(10**9, 10**12),
    default=10**9,
    help="What one unit of it is worth in US dollars, such as 1.08.",
)
@click.option("--name", prompt="What is your plan called?")
@click.option("--price", prompt="What does it cost a month? (0: credits only)", type=Figure(None, 10**10))
@click.option("--margin", prompt="What is your margin, in percent?", type=Figure(100, 9_999))
@click.option("--free", prompt="How many free credits a month?", type=Figure(1, 10**6))
@with_appcontext
def start(currency: str, rate: int, **answers: Any) -> None:
    """Create your first plans and packs from four questions, and simulate three months."""
    name, price, margin = " ".join(answers["name"].split()), answers["price"], answers["margin"]
    if not 1 <= len(name) <= 60:
        raise click.BadParameter("must have 1 to 60 characters.", param_hint="--name")
    try:
        choose_currency(currency, rate)
        free, plan, packs = write_offer(Answers(name, price, margin, answers["free"]))
    except (PricingError, InvalidRequest) as fault:
        raise click.ClickException(str(fault)) from fault
    db.session.commit()
    enqueue(JobName.PUBLISH_PLAN, plan.id)
    for pack in packs:
        enqueue(JobName.PUBLISH_PACK, pack.id)
    click.echo(f"{free.name}: {credits_text(free.allowance_nanos)} a month.")
    if price:
        click.echo(f"{name}: {money_text(price)} a month, {credits_text(plan.allowance_nanos)}.")
    for pack in packs:
        gives = f"{credits_text(pack.worth_nanos)}, margin {percent(margin)}"
        click.echo(f"{pack.name}: {money_text(pack.price_cents)}, {gives}.")
    for line in lines_of(months_of(plan, packs[0], free)):
        click.echo(line)
    click.echo("Next: see /pricing; change anything under /admin/plan/.")
