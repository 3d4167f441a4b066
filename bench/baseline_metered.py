"""The least that a metered route does: two reads, reserve before the provider is asked, settle after; by psycopg alone.

No sign-in, no rules, no chat, no receipt, nothing that outlives the reader: what metering costs any Flask route.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any

import psycopg
from flask import Flask, Response

from bench.baseline import client, options

CONNECTIONS, CEILING, COST = 6, 1000, 100
TABLES = """
CREATE TABLE IF NOT EXISTS bare_accounts (id bigint PRIMARY KEY, credits bigint, reserved bigint);
CREATE TABLE IF NOT EXISTS bare_prices (model text PRIMARY KEY, nanos bigint);
CREATE TABLE IF NOT EXISTS bare_calls (id bigserial PRIMARY KEY, account bigint, state text, cost bigint);
INSERT INTO bare_accounts VALUES (1, 1000000000000, 0) ON CONFLICT DO NOTHING;
INSERT INTO bare_prices VALUES ('bench-model', 1) ON CONFLICT DO NOTHING
"""
CALLER = "SELECT id, credits, reserved FROM bare_accounts WHERE id = 1"
PRICE = "SELECT nanos FROM bare_prices WHERE model = %s"
RESERVE = """
WITH moved AS (UPDATE bare_accounts SET reserved = reserved + %(most)s
               WHERE id = 1 AND credits - reserved >= %(most)s RETURNING id)
INSERT INTO bare_calls (account, state, cost) SELECT id, 'running', 0 FROM moved RETURNING id
"""
SETTLE = """
WITH closed AS (UPDATE bare_calls SET state = 'settled', cost = %(cost)s
                WHERE id = %(id)s AND state = 'running' RETURNING account)
UPDATE bare_accounts SET reserved = reserved - %(most)s, credits = credits - %(cost)s
FROM closed WHERE id = closed.account
"""

app = Flask(__name__)
idle: LifoQueue[psycopg.Connection] = LifoQueue()
with psycopg.connect(os.environ["BARE_DATABASE_URL"]) as first:
    first.execute(TABLES)
for _ in range(CONNECTIONS):
    idle.put(psycopg.connect(os.environ["BARE_DATABASE_URL"], autocommit=True, prepare_threshold=0))


@contextmanager
def connection() -> Iterator[psycopg.Connection]:
    taken = idle.get()
    try:
        yield taken
    finally:
        idle.put(taken)


@app.post("/metered")
def metered() -> Response:
    wanted = options()
    with connection() as database:
        database.execute(CALLER).fetchone()
        database.execute(PRICE, (wanted["model"],)).fetchone()
        [call] = database.execute(RESERVE, {"most": CEILING}).fetchone() or [None]
    return Response(events(wanted, call), content_type="text/event-stream")


def events(wanted: dict[str, Any], call: int | None) -> Iterator[str]:
    with client.chat.completions.with_streaming_response.create(**wanted) as answer:
        for line in answer.iter_lines():
            if line:
                yield f"{line}\n\n"
    with connection() as database:
        database.execute(SETTLE, {"most": CEILING, "cost": COST, "id": call})
