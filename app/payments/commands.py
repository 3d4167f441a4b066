"""Commands about payments: reconcile, publish, process events again."""

import click
from flask.cli import AppGroup

from app.extensions import db
from app.models.billing.payment_errors import Rejected, UnknownOutcome
from app.models.operations.webhook_event import StripeEvent
from app.payments import product_sync, reconciliation, webhook_events
from app.stripe_api import client

STATES = ("received", "done", "parked", "failed")
events = AppGroup("events", help="List and replay Stripe events.")


def add_to(billing: AppGroup) -> None:
    """Add them to `flask billing`."""
    billing.add_command(events)
    billing.command("reconcile")(reconcile)
    billing.command("publish")(publish)


def reconcile() -> None:
    """Compare Stripe with our records and fix what differs. A second run finds nothing."""
    require_stripe()
    count = 0
    try:
        for finding in reconciliation.reconcile():
            count += 1
            click.echo(
                f"{finding.subject} {finding.message}" + ("" if finding.mended else ": needs review in the admin")
            )
    except UnknownOutcome as fault:
        raise click.ClickException(f"{fault}. What was fixed stays; run it again.") from fault
    click.echo(f"{count} findings" if count else "Stripe and our records agree.")


def publish() -> None:
    """Create or update new and changed plans and packs at Stripe."""
    require_stripe()
    for kind, sold in product_sync.unpublished():
        product_sync.publish(sold)
        click.echo(f"{kind} {sold.name} is at Stripe")


def require_stripe() -> None:
    if not client.is_set_up():
        raise click.ClickException("Payments are not set up: STRIPE_SECRET_KEY is missing.")


@events.command("list")
@click.option("--state", type=click.Choice(STATES), default="failed", show_default=True, help="Of these events.")
def list_events(state: str) -> None:
    """List the newest events in a state."""
    for event in db.session.query(StripeEvent).filter_by(state=state).order_by(StripeEvent.id.desc()).limit(50):
        click.echo(f"{event.stripe_id} {event.type} {event.created_at:%Y-%m-%d %H:%M:%S} {event.error}")


@events.command()
@click.argument("stripe_id")
def replay(stripe_id: str) -> None:
    """Process the event STRIPE_ID again; if it never arrived, it is fetched from Stripe."""
    event = db.session.query(StripeEvent).filter_by(stripe_id=stripe_id).one_or_none()
    if event is None:
        require_stripe()
        try:
            notice = client.event(stripe_id)
        except (Rejected, UnknownOutcome) as fault:
            raise click.ClickException(str(fault)) from fault
        StripeEvent.store(notice.stripe_id, notice.type, notice.about)
        event = db.session.query(StripeEvent).filter_by(stripe_id=stripe_id).one()
    event.reopen()
    event_id = event.id
    db.session.commit()
    webhook_events.process(event_id)
    db.session.expire_all()
    click.echo(f"{stripe_id} is {db.session.get_one(StripeEvent, event_id).state}")
