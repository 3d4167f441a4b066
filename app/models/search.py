"""Case-insensitive search in every script, on both databases."""

import re
from typing import Any

from sqlalchemy import ColumnElement, func, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from app.db.case_folding import FORMS, VARIANTS, fold
from app.extensions import db

ICU = text("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu' AND current_setting('server_encoding') = 'UTF8'")
_knows_scripts: dict[str, bool] = {}


class Folded(GenericFunction[str]):
    """A text by which it is found: composed, in small letters, one form of each.

    PostgreSQL's own rules know ASCII alone where the database was made with "C".
    """

    name = "folded"
    inherit_cache = True


@compiles(Folded)
def folded(element: Any, compiler: Any, **options: Any) -> str:
    return f"folded({compiler.process(element.clauses, **options)})"


@compiles(Folded, "postgresql")
def folded_in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    whole = f"normalize({compiler.process(element.clauses, **options)}, NFKC)"
    return f"replace(translate(lower({whole} COLLATE \"und-x-icu\"), '{VARIANTS}', '{FORMS}'), 'ß', 'ss')"


def contains(column: Any, typed: str) -> ColumnElement[bool]:
    """Whether the column holds the text, in whatever case; `%` and `_` are themselves."""
    if knows_scripts():
        return Folded(column).like(pattern(fold(typed)), escape="\\")
    return func.lower(column).like(func.lower(pattern(typed)), escape="\\")


def pattern(typed: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", typed) + "%"


def knows_scripts() -> bool:
    """Whether the server can fold every script: one built without ICU folds as the database was made to."""
    if db.engine.dialect.name != "postgresql":
        return True
    address = str(db.engine.url)
    if address not in _knows_scripts:
        _knows_scripts[address] = db.session.scalar(ICU) is not None
    return _knows_scripts[address]
