"""`flask prices rerate`: a price that was wrong, what correcting it would do, and doing it."""

from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from app.catalog.price_entry import nanos_typed
from app.extensions import db
from app.models.base import credits_text
from app.models.billing.rerating import FIXED, Rerating, totals
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.metering.refusal import PricingError
from app.payments import rerating as work

BUCKETS = {
    "input": "uncached_input", "cache_read": "cache_read", "cache_write": "cache_write_5m",
    "cache_write_1h": "cache_write_1h", "output": "output", "long_input": "long_uncached_input",
    "long_output": "long_output", "image": "image", "search": "search",
}  # fmt: skip


RIGHT_PRICES = [
    click.Option([f"--{name.replace('_', '-')}", name], help="The correct price, in dollars.") for name in BUCKETS
]


@click.command("rerate", params=RIGHT_PRICES)
@click.argument("model")
@click.option("--from", "since", type=click.DateTime(), required=True, help="Wrong from (UTC).")
@click.option("--until", type=click.DateTime(), required=True, help="Wrong until (UTC).")
@click.option("--price", "price_id", type=int, help="The price row, if calls were sold at several.")
@click.option("--reason", default="", help="A sentence for the email and the ledger.")
@click.option("--apply", "is_applied", is_flag=True, help="Credit what was overcharged.")
@with_appcontext
def rerate(
    model: str,
    since: datetime,
    until: datetime,
    price_id: int | None,
    reason: str,
    is_applied: bool,
    **dollars: str,
) -> None:
    """Recompute MODEL's calls of a period at the correct price. Prices not given stay the same.

    Without --apply it only shows what would be credited.
    """
    when = since.replace(tzinfo=UTC), until.replace(tzinfo=UTC)
    try:
        figures = {f"{BUCKETS[name]}_nanos": nanos_typed(text) for name, text in dollars.items() if text}
        rerating = Rerating.begin(price_of(model, *when, price_id), dict(figures), *when, reason=reason)
    except PricingError as fault:
        raise click.UsageError(str(fault)) from fault
    work.look(rerating)
    show(rerating)
    if not is_applied:
        db.session.rollback()
        click.echo("Nothing was changed. Add --apply to give it back.")
        return
    work.apply(rerating)
    db.session.commit()
    finish(rerating)


def price_of(name: str, since: datetime, until: datetime, price_id: int | None) -> ModelPrice:
    """The one price row that was sold at. PricingError where there is none, or more than one."""
    model = AIModel.named(name)
    if model is None:
        raise PricingError(f"There is no model called {name!r}.")
    if model.makes_images:
        raise PricingError(FIXED)
    sold = [price for price in Rerating.prices_sold(model.id, since, until) if price_id in (None, price.id)]
    if not sold:
        raise PricingError("No call was sold at that price in that period.")
    if len(sold) > 1:
        rows = ", ".join(str(price.id) for price in sold)
        raise PricingError(f"Calls were sold at several price rows. Choose one with --price ({rows}).")
    return sold[0]


def show(rerating: Rerating) -> None:
    preview = rerating.preview
    click.echo(f"{preview['calls']:,} calls of {preview['accounts']:,} accounts")
    click.echo(f"Overcharged: {credits_text(preview['over_nanos'])}, to be given back")
    click.echo(f"Undercharged: {credits_text(preview['under_nanos'])}, never collected")
    for over, account_id, under, calls in preview["largest"]:
        click.echo(f"  account {account_id}: {calls:,} calls, {credits_text(over)} back, {credits_text(under)} ours")
    for text, accounts in (("running", preview["running"]), ("closed", preview["closed"])):
        if accounts:
            click.echo(f"Accounts {TEXTS[text]}: {', '.join(map(str, accounts))}")


def finish(rerating: Rerating) -> None:
    """Correct what can be corrected now; the clock goes on with the rest."""
    is_done = work.go_on(rerating.id, seconds=float("inf"))
    came = totals(rerating)
    click.echo(f"{credits_text(came['over_nanos'])} given back to {came['accounts']:,} accounts.")
    if not is_done:
        click.echo("Some calls at that price are still running; their accounts are corrected once they end.")


TEXTS = {"running": "with calls that still run", "closed": "closed, to be refunded by hand"}
