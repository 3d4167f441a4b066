"""A PgBouncer in transaction mode before a PostgreSQL: what stands there where many processes share a database."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from devserver import processes
from devserver.ports import free_port
from tests.support.postgres import PostgresServer, unprivileged_user

MISSING = "pgbouncer is not installed; on Debian: apt-get install pgbouncer"
POOL = 5
SETTINGS = f"""[databases]
* = host=127.0.0.1 port={{postgres}} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {{port}}
unix_socket_dir =
auth_type = any
admin_users = postgres
pool_mode = transaction
default_pool_size = {POOL}
max_client_conn = 500
"""


def is_installed() -> bool:
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") is not None


class PgBouncer:
    """Takes any number of connections, and lends each a server's for the length of a transaction."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="tollgate-pgbouncer-"))
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(postgres=self.server.port, port=self.port))
        self.folder.chmod(0o755)
        binary = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or "pgbouncer"
        with (self.folder / "log").open("ab") as log:
            self.process = processes.start([binary, "-q", str(settings)], output=log, user=unprivileged_user())
        self._await_answer()

    def stop(self) -> None:
        if self.process:
            processes.stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def told(self, question: str) -> list[dict[str, object]]:
        """What its console answers to `SHOW ...`."""
        with psycopg.connect(self.url("pgbouncer"), autocommit=True, prepare_threshold=None) as console:
            cursor = psycopg.ClientCursor(console, row_factory=psycopg.rows.dict_row)
            return cursor.execute(question.encode()).fetchall()

    def _await_answer(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while self.process and self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.told("SHOW VERSION")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PgBouncer did not start: {(self.folder / 'log').read_text()[-2000:]}")
