"""Commands: seed, admins, prices, audit, sweep. Only the command line loads them, and what they need."""

import json
import os
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import click
from email_validator import EmailNotValidError, validate_email
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import Migrate
from flask_migrate.cli import db as migrations
from sqlalchemy.exc import OperationalError, ProgrammingError

from app import start_command
from app.addresses import ROOT, ConfigurationError
from app.catalog import lifecycle, price_entry, price_import, price_watch, seeds
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

NO_TABLES = "Run: flask --app wsgi db upgrade"

billing = AppGroup("billing", help="Audit balances; sync payments with Stripe.")
user = AppGroup("user", help="Create admins; reset a second factor.")
prices = AppGroup("prices", help="Import, check, set and correct model prices.")


def init_app(app: Flask) -> None:
    Migrate(app, db, directory=str(ROOT / "migrations"))
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


def say_why(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """In place of a stack, a sentence about what the operator can mend: the environment, or the database."""
    if not isinstance(error, ConfigurationError | OperationalError | ProgrammingError):
        sys.__excepthook__(kind, error, traceback)
        return
    said = str(getattr(error, "orig", None) or error).partition("\n")[0]
    has_no_tables = re.search("no such table|relation .* does not exist", said)
    sys.stderr.write(f"Error: {said}. {NO_TABLES if has_no_tables else ''}".replace("..", ".").strip() + "\n")


@click.command()
@with_appcontext
def seed() -> None:
    """Add missing plans, packs, models and prices, and the first admin."""
    seeds.seed_catalogue()
    db.session.commit()
    email = os.environ.get("ADMIN_EMAIL") or ("" if seeds.has_owner() else "admin@example.com")
    if email and (password := made_admin(email)):
        click.echo(f"Admin: {email} {password}")


def made_admin(email: str) -> str | None:
    """Make that address an owner; the password of a person who is new."""
    try:
        password = seeds.seed_admin(email, os.environ.get("ADMIN_PASSWORD"))
    except seeds.NotTheirs as reason:
        raise click.ClickException(str(reason)) from reason
    db.session.commit()
    return password


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_appcontext
def backup(file: Path) -> None:
    """Back up the whole database to FILE while everything runs."""
    try:
        database.backup(current_app.config["SQLALCHEMY_DATABASE_URI"], file, show_line)
    except database.BackupError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{file}: {file.stat().st_size:,} bytes")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Replace existing tables.")
@with_appcontext
def restore(file: Path, *, replace: bool) -> None:
    """Restore the database from FILE. Nothing is emailed or charged until `flask resume`."""
    db.engine.dispose()
    address = current_app.config["SQLALCHEMY_DATABASE_URI"]
    try:
        database.restore(address, file, first=PAUSE, tell=show_line, replace=replace)
    except database.BackupError as error:
        raise click.ClickException(str(error)) from error
    click.echo("Restored. Nothing is emailed or charged until `flask resume`.")
    click.echo("Next: flask db upgrade and flask billing audit; then flask resume, unless this is only a copy.")


@click.command()
def distribute() -> None:
    """Print the SQL that spreads PostgreSQL over machines with Citus. Run it by hand, once, while nothing else runs."""
    for statement in distribution(db.metadata):
        click.echo(statement)


@click.command()
@with_appcontext
def resume() -> None:
    """Turn emails and payments back on after a restore."""
    Setting.put("is_paused", False)
    db.session.commit()
    click.echo("Emails and payments are on again.")


def show_line(line: str) -> None:
    click.echo(line, err=True)


@user.command("create-admin")
@click.argument("email")
def create_admin(email: str) -> None:
    """Make EMAIL an admin. A new person's password is printed once."""
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError as fault:
        raise click.BadParameter(f"{email!r} is not a valid email address.") from fault
    password = made_admin(email)
    click.echo(f"Admin: {email} {password}" if password else f"{email} is an admin.")


@user.command("forget-second-factor")
@click.argument("email")
@click.option("--reason", required=True, help="Reason, shown in the audit log.")
def forget_second_factor(email: str, reason: str) -> None:
    """Remove the second factor of EMAIL, if they lost it and no other owner can help."""
    person = User.with_email(email)
    if person is None or person.totp_secret is None:
        raise click.BadParameter(f"Nobody with the email {email!r} has two-factor sign-in.")
    forget(person)
    changes = {"second_factor": ["set up", None], "by": [None, "command line"]}
    AdminChange.note(person.id, "forget second factor", person, reason=reason, changes=changes)
    db.session.commit()
    click.echo(f"{person.email} needs no code now and sets up a new second factor at the next visit.")


@billing.command("audit")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@click.option("--calls", is_flag=True, help="Recompute what every call cost instead.")
@click.option("--since", type=click.DateTime(), help="With --calls: only calls that ended since then (UTC).")
def audit_command(as_json: bool, calls: bool, since: datetime | None) -> None:
    """Recompute every balance from its rows. Exits with 1 and lists what differs."""
    if since and not calls:
        raise click.UsageError("--since is for --calls: every balance is recomputed from its beginning.")
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
    """Release reservations of dead calls and finish pending payment work."""
    click.echo(f"{sweeper.sweep()} calls released")
    click.echo(f"{len(list(iter(webhook_events.process_next, None)))} events processed")
    sweeper.sweep_payments(jobs.do)


@prices.command("import")
@click.option("--approve", is_flag=True, help="Approve all proposals, earlier ones included.")
@click.argument("models", nargs=-1)
def import_prices(approve: bool, models: tuple[str, ...]) -> None:
    """Propose prices that differ from genai-prices, for all or some MODELS, and list models that end."""
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
    click.echo(f"{len(proposed)} proposed, {len(approved)} approved, {waiting} waiting for approval")


@prices.command("check")
@click.option("--data", envvar="PRICE_DATA", help="genai-prices' newest data.json: a file or URL.")
@click.option("--second", envvar="PRICE_DATA_SECOND", help="A second list in litellm's format: a file or URL.")
def check_prices(data: str | None, second: str | None) -> None:
    """Compare our prices with newer data and a second list. Exits with 1 and shows both figures if they differ.

    Differences wait in the admin under Price updates.
    """
    if not data and not second:
        raise click.UsageError("Nothing to compare with: give --data or --second, or set PRICE_DATA.")
    try:
        notices = price_watch.watch(utcnow(), data, second, is_strict=True)
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
@click.option("--cache-read", help="Dollars per million tokens read from cache.")
@click.option("--cache-write", "cache_write_5m", help="Dollars per million tokens cached for 5 minutes.")
@click.option("--cache-write-1h", help="Dollars per million tokens cached for an hour.")
@click.option("--long-input", "long_uncached_input", help="Dollars per million input tokens in long contexts.")
@click.option("--long-output", help="Dollars per million output tokens in long contexts.")
@click.option("--image", help="Dollars per image.")
@click.option("--search", help="Dollars per search.")
@click.option("--one-tier", is_flag=True, help="Drop the separate long-context prices.")
@click.option("--tier", default="", help="The service tier, as its vendor reports it. Default: standard.")
@click.option("--from", "begins", type=click.DateTime(), help="When it starts (UTC). Default: now.")
def set_price(model: str, one_tier: bool, tier: str, begins: datetime | None, **dollars: str | None) -> None:
    """Add a price for MODEL. Prices not given stay the same; earlier calls keep theirs."""
    typed = {bucket: text for bucket, text in dollars.items() if text}
    try:
        start = begins and begins.replace(tzinfo=UTC)
        price = price_entry.add(model, typed, start, one_tier=one_tier, served_at=tier)
    except PricingError as fault:
        raise click.UsageError(str(fault)) from fault
    db.session.commit()
    served = f", {price.tier} tier" if price.tier else ""
    click.echo(f"Price row {price.id}: {model}{served} from {price.effective_from:%Y-%m-%d %H:%M} UTC.")
