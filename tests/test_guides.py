"""The guides say what is there: commands, pages of the admin, and the events that Stripe should send."""

import re
from pathlib import Path

from flask import Flask

from app.payments import webhook_handlers

PROJECT = Path(__file__).parents[1]
TAKES_AWAY = re.compile("drop_column|drop_table|rename_table|RENAME")
GUIDES = {path.name: path.read_text() for path in (PROJECT / "docs" / "guides").glob("*.md")}
EVENT = re.compile(r"^    ([a-z_]+(?:\.[a-z_]+)+)$", re.MULTILINE)


def test_every_command_that_a_guide_names_is_there(app: Flask) -> None:
    named = {tuple(pair) for text in GUIDES.values() for pair in re.findall(r"flask (\w+) ([\w-]+)", text)}
    groups = {name: set(getattr(command, "commands", {})) for name, command in app.cli.commands.items()}
    assert {pair for pair in named if pair[1] not in groups.get(pair[0], set())} == set()


def test_every_page_of_the_admin_that_a_guide_names_is_there(app: Flask) -> None:
    named = {page for text in GUIDES.values() for page in re.findall(r"/admin/\w+/", text)}
    known = {rule.rule for rule in app.url_map.iter_rules()}
    assert named - known == set()


def test_the_list_of_events_holds_every_event_that_is_acted_upon() -> None:
    listed = set(EVENT.findall(GUIDES["setup.md"]))
    assert set(webhook_handlers.REACTIONS) - listed == set()


def test_the_docs_name_the_migrations_during_which_no_older_release_may_serve() -> None:
    deploying = (PROJECT / "docs" / "deploy.md").read_text()
    upgrades = {
        file.name[:4]: file.read_text().partition("def upgrade")[2].partition("\ndef ")[0]
        for file in (PROJECT / "migrations" / "versions").glob("0*.py")
    }
    assert {name for name, code in upgrades.items() if TAKES_AWAY.search(code)} == set(
        re.findall(r"`(\d{4})`", deploying)
    )
