"""The statements of a pair by psycopg alone, without a rule or a model: what Python costs beside pgbench.

`python -m bench.baseline_pairs SCRIPT URL FIRST LAST` sends pgbench's script and prints how many pairs it came to.
"""

import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.reserve_settle import SECONDS, THREADS

VARIABLE = re.compile(r"(?<!:):(account|id)\b")


class Statement:
    """One line of the script; `is_kept`: its row has the id of the call."""

    def __init__(self, line: str) -> None:
        self.is_kept = line.endswith("\\gset")
        text = line.removesuffix("\\gset").rstrip("; ").replace("%", "%%")
        self.names = set(VARIABLE.findall(text))
        self.text: Any = VARIABLE.sub(r"%(\1)s", text)


def main() -> None:
    script, url, first, last = sys.argv[1:]
    statements = [Statement(line) for line in Path(script).read_text().splitlines() if not line.startswith("\\set")]
    until, counts = time.monotonic() + SECONDS, [0] * THREADS

    def work(thread: int) -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=0, row_factory=dict_row) as connection:
            while time.monotonic() < until:
                pair(connection, statements, random.randint(int(first), int(last)))
                counts[thread] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(counts))


def pair(connection: psycopg.Connection[dict[str, Any]], statements: list[Statement], account: int) -> None:
    values = {"account": account, "id": 0}
    for statement in statements:
        cursor = connection.execute(statement.text, {name: values[name] for name in statement.names})
        row = cursor.fetchone() if cursor.description else None
        if statement.is_kept and row:
            values["id"] = row["id"]


if __name__ == "__main__":
    main()
