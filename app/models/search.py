"""Search in every script, without regard to case, on both databases."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, func, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from app.extensions import db

ICU = text("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'")
_knows_scripts: dict[str, bool] = {}


class Folded(GenericFunction[str]):
    """A text in small letters. PostgreSQL's own rules know ASCII alone where the database was made with "C"."""

    name = "folded"
    inherit_cache = True


@compiles(Folded)
def folded(element: Any, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(Folded, "postgresql")
def folded_in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f'lower({compiler.process(element.clauses, **options)} COLLATE "und-x-icu")'


def contains(column: Any, typed: str) -> ColumnElement[bool]:
    """Whether the column holds the text, in whatever case; `%` and `_` are themselves."""
    escaped = re.sub(r"([\\%_])", r"\\\1", typed)
    fold = Folded if knows_scripts() else func.lower
    matches: ColumnElement[bool] = fold(column).like(fold(f"%{escaped}%"), escape="\\")
    return matches


def knows_scripts() -> bool:
    """Whether the server can fold every script: one built without ICU folds as the database was made to."""
    if db.engine.dialect.name != "postgresql":
        return True
    address = str(db.engine.url)
    if address not in _knows_scripts:
        _knows_scripts[address] = db.session.scalar(ICU) is not None
    return _knows_scripts[address]
