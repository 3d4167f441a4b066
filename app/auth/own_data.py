"""Everything kept about a person, as a file: `PERSONAL` says where it is. security.md 29."""

import base64
import json
from collections.abc import Iterator
from datetime import date
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Any

from flask import Response, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.extensions import db
from app.models.identity.erasure import delete_chats
from app.models.identity.personal_data import PERSONAL, Person
from app.models.identity.user import User
from app.web.blueprints import auth
from app.web.formatting import counted
from app.web.rate_limits import by_person

PIECE = 100_000


@auth.post("/settings/data")
@by_person("6 per hour")
def download_data() -> Response:
    """One JSON file: a list of rows for each table."""
    pieces = written(owned_by(current_user.user))
    response = Response(chain([next(pieces)], pieces), content_type="application/json")
    response.headers.set("Content-Disposition", "attachment", filename="my-data.json")
    return response


@auth.post("/settings/chats/delete")
def delete_own_chats() -> ResponseReturnValue:
    """All of the person's chats in this account, archived ones too."""
    number = delete_chats(**current_user.owns)
    db.session.commit()
    flash(f"{counted(number, 'chat')} deleted." if number else "There are no chats to delete.", "good")
    return redirect(url_for("auth.settings"))


def written(person: Person) -> Iterator[bytes]:
    """All of it, from disk: no connection is held while it is sent."""
    with TemporaryFile() as file:
        write_all(file, person)
        db.session.rollback()
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def owned_by(user: User) -> Person:
    """A team is its members': of accounts only those that are the person's alone are theirs."""
    alone = [one.account_id for one in user.memberships if len(one.account.memberships) == 1]
    return Person(user.id, alone, [user.email])


def write_all(file: IO[bytes], person: Person) -> None:
    names: set[str] = set()
    for personal in PERSONAL:
        name = personal.table if personal.table not in names else f"{personal.table} by {personal.owner}"
        file.write(b",\n" if names else b"{")
        file.write(json.dumps(name).encode() + b": [")
        for number, row in enumerate(personal.kept(person)):
            file.write((b",\n" if number else b"\n") + json.dumps(row, default=plain, ensure_ascii=False).encode())
        file.write(b"]")
        names.add(name)
    file.write(b"}\n")


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else base64.b64encode(value).decode()
