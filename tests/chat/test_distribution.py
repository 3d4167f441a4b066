"""A database in the form that `flask db distribute` makes of it, as far as PostgreSQL without Citus shows it.

Citus's two functions are stand-ins here: they refuse what Citus refuses, and otherwise note what they were told.
"""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from app.db.distribution import ACROSS, SPREAD
from app.extensions import db
from app.models.billing.audit import audit
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("postgresql")
STAND_INS = """
CREATE TABLE placed (name regclass PRIMARY KEY, spread_by text);
CREATE FUNCTION place(asked regclass, spread_by text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = asked AND NOT tgisinternal) THEN
        RAISE '% has a trigger', asked; END IF;
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = asked AND conrelid NOT IN
        (SELECT name FROM placed) AND spread_by IS NOT NULL) THEN
        RAISE 'a table that stays on one machine points to %', asked; END IF;
    INSERT INTO placed VALUES (asked, spread_by);
END $$;
CREATE FUNCTION create_reference_table(asked regclass) RETURNS void LANGUAGE sql AS 'SELECT place(asked, NULL)';
CREATE FUNCTION create_distributed_table(asked regclass, spread_by text, colocate_with regclass DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$ DECLARE at pg_attribute; BEGIN
    SELECT * INTO STRICT at FROM pg_attribute WHERE attrelid = asked AND attname = spread_by;
    IF at.atttypid <> 'bigint'::regtype OR NOT at.attnotnull THEN RAISE '%.% is no bigint', asked, spread_by; END IF;
    IF EXISTS (SELECT FROM pg_index WHERE indrelid = asked AND indisunique AND at.attnum <> ALL (indkey)) THEN
        RAISE 'a unique key of % is without %', asked, spread_by; END IF;
    IF colocate_with IS NOT NULL AND colocate_with NOT IN (SELECT name FROM placed) THEN
        RAISE '% is not spread yet', colocate_with; END IF;
    PERFORM place(asked, spread_by);
END $$;
"""
BROKEN_KEYS = """
SELECT key.conrelid::regclass || ' -> ' || key.confrelid::regclass FROM pg_constraint key
LEFT JOIN placed own ON own.name = key.conrelid LEFT JOIN placed other ON other.name = key.confrelid
WHERE key.contype = 'f' AND CASE
    WHEN other.spread_by IS NOT NULL THEN own.spread_by IS NULL OR NOT EXISTS (
        SELECT FROM unnest(key.conkey, key.confkey) pair (mine, theirs)
        JOIN pg_attribute m ON m.attrelid = key.conrelid AND m.attnum = mine AND m.attname = own.spread_by
        JOIN pg_attribute t ON t.attrelid = key.confrelid AND t.attnum = theirs AND t.attname = other.spread_by)
    ELSE own.name IS NOT NULL AND other.name IS NULL END
"""
"""Foreign keys of what Citus does not take: to a spread table without its account, or to one that is not everywhere."""

PLACED = text("SELECT name::text, spread_by FROM placed")


@pytest.fixture
def printed(app: Flask) -> list[str]:
    done = app.test_cli_runner().invoke(args=["db", "distribute"])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.fixture
def spread(session: Database, printed: list[str]) -> Database:
    """The database after all of it was run."""
    connection = session.connection()
    connection.execute(text(STAND_INS))
    for statement in printed:
        connection.exec_driver_sql(statement)
    session.commit()
    return session


def test_every_key_names_the_account_or_leads_to_a_table_that_is_everywhere(spread: Database) -> None:
    placed = dict(spread.execute(PLACED).all())
    assert {name for name, column in placed.items() if column} == SPREAD
    assert spread.scalars(text(BROKEN_KEYS)).all() == []


def test_nothing_is_lost_but_what_the_documentation_says(session: Database, printed: list[str]) -> None:
    """Foreign keys come back, but for those to a spread table from one that is not, and those of a guest's chat."""
    gone, made = (
        {
            (table, name)
            for line in printed
            for table, name in re.findall(rf"ALTER TABLE (\w+) {verb} CONSTRAINT (fk_\w+)", line)
        }
        for verb in ("DROP", "ADD")
    )
    lost = {(table, name) for table, name in gone - made if table in SPREAD}
    assert lost == {
        (table, f"fk_{table}_{column}_{other}")
        for (table, column), other in zip(sorted(ACROSS), ("usages", "chats"), strict=True)
    }
    assert made <= gone


def test_messages_and_money_go_on_there(spread: Database, door: Callable[..., Door]) -> None:
    ada = door("ada", credits=10 * CREDIT)
    chat = ada.new_chat()
    endings = [ada.ask(question, chat=chat).ended_as for question in ("hello", "and again")]
    message = db.session.scalar(text("SELECT max(id) FROM messages WHERE role = 'assistant'"))
    again = ada.call("POST", f"/messages/{message}/regenerate", json={})
    people.person("bob", credits=CREDIT)
    db.session.commit()
    assert (endings, again.status_code, list(audit())) == (["done", "done"], 200, [])
