"""Commands: seed, administrators, prices, audit, sweep."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from email_validator import EmailNotValidError, validate_email
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate.cli import db as migrations

from app import start_command
from app.catalog import lifecycle, price_entry, price_import, price_watch, proposals, seeds
from app.db import backup as database
from app.db.distribution import distribution
from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.setting import Setting
from app.models.identity.two_factor import forget
from app.models.identity.user import User
from app.models.metering.refusal import PricingError
from app.models.operations.audit_log import AdminChange
from app.payments import commands, jobs, rerating_commands, sweeper, webhook_events

PAUSE = """
INSERT INTO settings (key, value) VALUES ('is_paused', '1') ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
"""In a database that was restored: the setting, before anything else can read it."""

billing = AppGroup("billing", help="Balances and payments.")
user = AppGroup("user", help="People.")
prices = AppGroup("prices", help="What the models cost.")


def init_app(app: Flask) -> None:
    app.cli.add_command(billing)
    commands.add_to(billing)
    app.cli.add_command(user)
    app.cli.add_command(prices)
    prices.add_command(rerating_commands.rerate)
    migrations.add_command(distribute)
    app.cli.add_command(seed)
    app.cli.add_command(start_command.start)
    app.cli.add_command(backup)
    app.cli.add_command(restore)
    app.cli.add_command(resume)


@click.command()
@with_appcontext
def seed() -> None:
    """Fill in plans, packs, models and prices where they are missing, and the first administrator."""
    seeds.seed_catalogue()
    email = os.environ.get("ADMIN_EMAIL") or "admin@example.com"
    password = seeds.seed_admin(email, os.environ.get("ADMIN_PASSWORD"))
    db.session.commit()
    if password:
        click.echo(f"Admin: {email} {password}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_appcontext
def backup(file: Path) -> None:
    """Write the whole database to FILE, while everything goes on."""
    try:
        database.backup(current_app.config["SQLALCHEMY_DATABASE_URI"], file, show_line)
    except database.BackupError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{file}: {file.stat().st_size:,} bytes")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Replace the tables that are there.")
@with_appcontext
def restore(file: Path, *, replace: bool) -> None:
    """Read FILE into the database. No mail is sent and no card is charged until `flask resume`."""
    db.engine.dispose()
    address = current_app.config["SQLALCHEMY_DATABASE_URI"]
    try:
        database.restore(address, file, first=PAUSE, tell=show_line, replace=replace)
    except database.BackupError as error:
        raise click.ClickException(str(error)) from error
    click.echo("Restored. No mail is sent and no card is charged until `flask resume`.")
    click.echo(
        "Next: flask db upgrade, flask billing audit, and flask resume where this is the installation to go on."
    )


@click.command()
def distribute() -> None:
    """Print what spreads a PostgreSQL with Citus by account. It is run by hand, once, while nothing else runs."""
    for statement in distribution(db.metadata):
        click.echo(statement)


@click.command()
@with_appcontext
def resume() -> None:
    """Send mails and ask Stripe again, after a restore."""
    Setting.put("is_paused", False)
    db.session.commit()
    click.echo("Emails and payments are on again.")


def show_line(line: str) -> None:
    click.echo(line, err=True)


@user.command("create-admin")
@click.argument("email")
def create_admin(email: str) -> None:
    """Make EMAIL an administrator; a new person's password is made and printed once."""
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError as fault:
        raise click.BadParameter(f"{email!r} is not an address that mail can be sent to.") from fault
    password = seeds.seed_admin(email, os.environ.get("ADMIN_PASSWORD"))
    db.session.commit()
    click.echo(f"Admin: {email} {password}" if password else f"{email} is an admin.")


@user.command("forget-second-factor")
@click.argument("email")
@click.option("--reason", required=True, help="Reason, shown in the audit log.")
def forget_second_factor(email: str, reason: str) -> None:
    """Take the second factor of EMAIL away: for an owner who lost it and whom no other owner can help."""
    person = User.with_email(email)
    if person is None or person.totp_secret is None:
        raise click.BadParameter(f"Nobody with the email {email!r} has two-factor sign-in.")
    forget(person)
    changes = {"second_factor": ["set up", None], "by": [None, "command line"]}
    AdminChange.note(person.id, "forget second factor", person, reason=reason, changes=changes)
    db.session.commit()
    click.echo(
        f"{person.email} is asked for no code anymore, and sets up a new second factor at the next visit."
    )


@billing.command("audit")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@click.option("--calls", is_flag=True, help="Derive every call from its buckets and its price row instead.")
@click.option("--since", type=click.DateTime(), help="With --calls: only those that ended since then (UTC).")
def audit_command(as_json: bool, calls: bool, since: datetime | None) -> None:
    """Recompute every balance from its rows; exit 1 and name what differs."""
    if calls:
        sys.exit(audit_of_calls(as_json, since and since.replace(tzinfo=UTC)))
    differences = [asdict(difference) for difference in audit()]
    if as_json:
        click.echo(json.dumps({"differences": differences}))
    else:
        for difference in differences:
            message = "account {account_id}: {figure} is {stored}, its rows say {explained}"
            click.echo(message.format(**difference), err=True)
        click.echo(f"{len(differences)} differences" if differences else "Every balance is explained.")
    sys.exit(1 if differences else 0)


def audit_of_calls(as_json: bool, since: datetime | None) -> int:
    """Print what the calls' rows do not explain, price row by price row; the exit code."""
    findings = audit_calls(since, progress=None if as_json else show_progress)
    if as_json:
        listed = [asdict(finding) for finding in findings.all()]
        click.echo(json.dumps({"calls": findings.calls, "differing": findings.differing, "findings": listed}))
        return 1 if findings.differing else 0
    for finding in findings.all():
        click.echo(finding.text, err=True)
    verdict = f"{findings.differing} differences" if findings.differing else "every one is explained"
    click.echo(f"{findings.calls:,} calls: {verdict}.")
    return 1 if findings.differing else 0


def show_progress(done: int, total: int) -> None:
    click.echo(f"{done:,} of {total:,} calls", err=True)


@billing.command()
def sweep() -> None:
    """Release the reservations of calls that died; do what was left undone about payments."""
    click.echo(f"{sweeper.sweep()} calls released")
    click.echo(f"{len(list(iter(webhook_events.process_next, None)))} events processed")
    sweeper.sweep_payments(jobs.do)


@prices.command("import")
@click.option("--approve", is_flag=True, help="Approve what is proposed, now and before.")
@click.argument("models", nargs=-1)
def import_prices(approve: bool, models: tuple[str, ...]) -> None:
    """Compare the price list (or MODELS of it) with genai-prices, and propose what differs; name models that end."""
    findings = price_import.compare(utcnow(), models)
    proposed = price_import.propose(findings, models)
    for finding in findings:
        if finding in proposed or finding.new is None:
            click.echo(finding.summary)
    approved = price_import.approve(findings, models) if approve else []
    waiting = len(price_import.pending(models))
    endings = lifecycle.endings(models)
    for ending in endings:
        click.echo(ending.summary)
    if approve:
        lifecycle.approve(endings, models)
    db.session.commit()
    click.echo(f"{len(proposed)} proposed, {len(approved)} approved, {waiting} waiting for a person")


@prices.command("check")
@click.option("--data", envvar="PRICE_DATA", help="genai-prices' newest data.json: a file or a URL.")
@click.option(
    "--second", envvar="PRICE_DATA_SECOND", help="A second list, in litellm's form: a file or a URL."
)
def check_prices(data: str | None, second: str | None) -> None:
    """Compare the list with newer data and with a second source; exit 1 and show both figures where they differ.

    What differs is proposed in the admin, under Price updates.
    """
    if not data and not second:
        raise click.UsageError("Nothing to compare with: name --data or --second, or set PRICE_DATA.")
    try:
        notices = proposals.watch(utcnow(), data, second, is_strict=True)
    except price_watch.NoData as fault:
        raise click.UsageError(str(fault)) from fault
    db.session.commit()
    for notice in notices:
        click.echo(notice.text)
    click.echo(f"{len(notices)} differences; nothing was changed.")
    sys.exit(1 if notices else 0)


@prices.command("set")
@click.argument("model")
@click.option("--input", "uncached_input", help="Dollars per million input tokens.")
@click.option("--output", help="Dollars per million output tokens.")
@click.option("--cache-read", help="Dollars per million tokens read from the cache.")
@click.option("--cache-write", "cache_write_5m", help="Dollars per million tokens written for 5 minutes.")
@click.option("--cache-write-1h", help="Dollars per million tokens written for an hour.")
@click.option(
    "--long-input", "long_uncached_input", help="Dollars per million, above the long-context threshold."
)
@click.option("--long-output", help="Dollars per million, above the long-context threshold.")
@click.option("--image", help="Dollars for an image.")
@click.option("--search", help="Dollars for a search.")
@click.option("--one-tier", is_flag=True, help="No other prices for long contexts anymore.")
@click.option(
    "--tier", default="", help="The service tier, as its vendor reports it. Default: the ordinary one."
)
@click.option("--from", "begins", type=click.DateTime(), help="When it begins (UTC). Default: now.")
def set_price(model: str, one_tier: bool, tier: str, begins: datetime | None, **dollars: str | None) -> None:
    """Add a price of MODEL, for all hours; what is not named stays as it is. Earlier calls keep theirs."""
    typed = {bucket: text for bucket, text in dollars.items() if text}
    try:
        start = begins and begins.replace(tzinfo=UTC)
        price = price_entry.add(model, typed, start, one_tier=one_tier, served_at=tier)
    except PricingError as fault:
        raise click.UsageError(str(fault)) from fault
    db.session.commit()
    served = f", {price.tier} tier" if price.tier else ""
    click.echo(f"Price row {price.id}: {model}{served} from {price.effective_from:%Y-%m-%d %H:%M} UTC.")
