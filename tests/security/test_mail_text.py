"""A stranger's text stays text in every mail, and a name is a name. security.md 26."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2 import meta

from app.mail_message import JOINER, compose
from app.models.identity.email_address import holds_address, one_line
from tests.auth.conftest import Browser
from tests.support.people import PASSWORD

FOLDER = Path(__file__).parents[2] / "app" / "templates" / "mail"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.txt"))
LINKS = re.compile(r"https?://\S+|\bwww\.\S+|\S+@\S+\.\w+|\b[\w-]+\.(?:example|com|org)\b\S*")
OF_LINKS = {
    "link", "settings_url", "reset_link", "page_url", "pricing_url", "pay_url", "billing_url", "chat_url",
    "confirm_url", "admin_url", "base_url", "unsubscribe_url",
}  # fmt: skip
OF_MAILBOXES = {"to", "new"}
STRANGERS = (
    "https://evil.example",
    "\n\nGet paid: https://evil.example/now\n\n",
    'Eve\r\nBcc: all@evil.example\r\n\r\n<h1>Won</h1> <a href="https://evil.example">Click</a>'
    " {{ button('Won', 'https://evil.example') }} \x010\x01",
    "\u202egro.live\u2066 www.evil.example: write to eve@evil.example or evil.example/pay",
    "x" * 5000,
)

NAMED = "Prize: https://evil.example"


def values_of(app: Flask, template: str, written: str) -> dict[str, str]:
    """A value for everything that the template names: links and mailboxes of ours, all else as a stranger wrote it."""
    source = (FOLDER / f"{template}.txt").read_text()
    names = meta.find_undeclared_variables(app.jinja_env.parse(source)) | {"brand_name", "to", "base_url"}
    values = dict.fromkeys(names - {"button", "mailbox"}, written)
    values |= {name: f"https://ours.example/{name}" for name in names & OF_LINKS}
    return (
        values
        | {"notices": [written, written], "revenue": {"usd": 1200}}
        | {name: f"{name}@ours.example" for name in names & OF_MAILBOXES}
        | {"brand_name": "Tollgate"}
    )


def make_of(app: Flask, template: str, written: str) -> dict[str, Any]:
    """What a mail is made of besides the words that were `written`."""
    mail = compose("ada@example.com", template, values_of(app, template, written))
    return {
        "links": LINKS.findall(mail.body),
        "elements": shape(mail.alternatives[0][0]),
        "lines": mail.body.count("\n"),
        "headers": sorted(mail.message().keys()),
        "subject": (mail.subject.replace(JOINER, "").isprintable(), len(mail.subject) <= 150),
    }


def test_no_mail_makes_more_of_a_strangers_text_than_text(app: Flask) -> None:
    changed = {}
    with app.app_context():
        usual = {template: make_of(app, template, "Ann") | {"subject": (True, True)} for template in TEMPLATES}
        for template, written in product(TEMPLATES, STRANGERS):
            plain = usual[template]
            hostile = make_of(app, template, written)
            changed[template, written[:30]] = [part for part in plain if hostile[part] != plain[part]]
    assert {case: parts for case, parts in changed.items() if parts} == {}


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.started.append((tag, attrs))


def shape(html: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    elements = Elements()
    elements.feed(html)
    return elements.started


def test_a_name_with_an_address_in_it_is_refused(signed_in: Callable[..., Browser]) -> None:
    ada, paths = signed_in("ada"), ("/settings/profile", "/account/teams", "/settings/keys")
    names = "https://evil.example", "see evil.example/x", "www.evil", "eve@evil.example"
    sent = {(path, name): ada.send(path, name=name).status_code for path, name in product(paths, names)}
    assert sent == dict.fromkeys(sent, 400)


def test_a_new_person_has_no_address_for_a_name(new_browser: Callable[[], Browser]) -> None:
    guest = new_browser()
    assert guest.send("/signup", email="eve@example.com", password=PASSWORD, name=NAMED).status_code == 400


@pytest.mark.parametrize("name", ["J. R. R. Tolkien", "Zoë O'Neil-Smith", "R&D 2.0", "李小龍", "Ops (EU)", "St. John"])
def test_names_that_people_have_are_taken(name: str) -> None:
    assert (holds_address(name), one_line(name)) == (False, name)


def test_a_name_has_one_line_and_nothing_invisible() -> None:
    assert one_line(" A\u202ed\u200ba\n\tL\x00 \u2066Lovelace ") == "A d a L Lovelace"
