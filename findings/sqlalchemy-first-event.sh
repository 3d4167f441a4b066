#!/bin/sh
# SQLAlchemy 2.1.9: a listener of every engine for "do_connect", and threads that make the first connections of a process at
# once. For a dialect that was loaded after it (as create_engine does) listeners are gathered at its first connection; a thread
# that comes while another one gathers is told of none, and its connection is in the pool as if nobody listened, for as
# long as it lives. A listener of the dialect's own class is always told. The gathering takes longer here, to be met each time.
# Needs Python and a package index. Fails once that changes.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlalchemy==2.1.9
cd "$folder"
for target in engine dialect; do
"$folder/venv/bin/python" - $target <<'PYTHON'
import collections
import sqlite3
import sys
import threading
import time
from types import SimpleNamespace

import sqlalchemy
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.event import attr
from sqlalchemy.pool import QueuePool


class OwnConnection(sqlite3.Connection):
    pass


class Unhurried(collections.deque):
    def extend(self, listeners):
        time.sleep(0.3)
        super().extend(listeners)


target = Engine
if sys.argv[1] == "dialect":
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as target


@event.listens_for(target, "do_connect")
def connect(_dialect, _record, arguments, _named):
    return sqlite3.connect(arguments[0], factory=OwnConnection, check_same_thread=False)


attr.collections = SimpleNamespace(**{**vars(collections), "deque": Unhurried})
engine = create_engine("sqlite:///rows.db", poolclass=QueuePool)
kinds = []


def use():
    with engine.connect() as connection:
        kinds.append(type(connection.connection.dbapi_connection).__name__)


threads = [threading.Thread(target=use) for _ in range(2)]
for thread in threads:
    thread.start()
    time.sleep(0.1)
for thread in threads:
    thread.join()
print(f"SQLAlchemy {sqlalchemy.__version__}, a listener of {target.__name__}: {sorted(kinds)}")
missed = kinds.count("Connection")
assert missed == (1 if target is Engine else 0), kinds
PYTHON
done
echo "as described: one of two first connections passes the listener of all engines by"
