"""The whole database in one file, and back: by SQLite's own online backup, by PostgreSQL's pg_dump and pg_restore.

Both take one moment of a database that goes on being written to.
"""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import copyfileobj, which
from typing import Any

from psycopg import pq
from sqlalchemy import URL, make_url

Tell = Callable[[str], object]
KINDS = {b"SQLite format 3\x00": "sqlite", b"PGDMP": "postgresql"}
PAGES = 10_000
"""Of SQLite's pages, 4 kB each, that are copied between two words about how far it is."""


class BackupError(Exception):
    """It cannot be done; the message says why. Nothing was changed."""


def backup(address: str, path: Path, tell: Tell) -> None:
    """Write the database to a new file, which is there once it is whole, for its owner's eyes alone."""
    if path.exists():
        raise BackupError(f"{path} already exists.")
    part = path.with_name(f"{path.name}.part")
    with told(path):
        write(make_url(address), part, tell)
        part.rename(path)


def write(url: URL, part: Path, tell: Tell) -> None:
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    try:
        if url.get_backend_name() == "sqlite":
            with closing(sqlite3.connect(str(url.database))) as source:
                copy(source, part, tell)
        else:
            run_dump(url, part, tell)
    except BaseException:
        part.unlink()
        raise


def restore(address: str, path: Path, *, first: str, tell: Tell, replace: bool = False) -> None:
    """Read the file into the database, in one transaction together with the SQL statement `first`.

    `replace`: the database's tables go; without it they must not be there.
    """
    url = make_url(address)
    kind = kind_of(path)
    if kind != url.get_backend_name():
        raise BackupError(f"{path} holds {kind}, and DATABASE_URL is {url.get_backend_name()}.")
    with told(path):
        if kind == "sqlite":
            restore_sqlite(Path(str(url.database)), path, first, tell, replace=replace)
        else:
            restore_postgresql(url, path, first, replace=replace)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the disk or SQLite says is the reason: no folder, no room, a file of something else."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{path}: {error}. Nothing was changed.") from error


def kind_of(path: Path) -> str:
    if not path.is_file():
        raise BackupError(f"There is no file {path}.")
    with path.open("rb") as file:
        start = file.read(16)
    for magic, kind in KINDS.items():
        if start.startswith(magic):
            return kind
    raise BackupError(f"{path} isn't a Tollgate backup.")


def copy(source: sqlite3.Connection, target: Path, tell: Tell) -> None:
    def progress(_status: int, left: int, total: int) -> None:
        tell(f"{total - left:,} of {total:,} pages")

    with closing(sqlite3.connect(target)) as into:
        source.backup(into, pages=PAGES, progress=progress)


def restore_sqlite(database: Path, path: Path, first: str, tell: Tell, *, replace: bool) -> None:
    """By way of a copy, in which `first` is done before anybody sees it."""
    with closing(sqlite3.connect(database)) as there:
        if not replace and there.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BackupError(f"{database} has tables. To replace them, add --replace.")
    part = database.with_name(f"{database.name}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as source:
            copy(source, part, tell)
        with closing(sqlite3.connect(part)) as whole, closing(sqlite3.connect(database)) as there:
            if whole.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise BackupError(f"{path} is damaged.")
            whole.execute(first)
            whole.commit()
            whole.backup(there)
    finally:
        part.unlink(missing_ok=True)


def run_dump(url: URL, part: Path, tell: Tell) -> None:
    command = [
        tool("pg_dump"),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--verbose",
        f"--file={part}",
    ]
    with running(url, command, stderr=subprocess.PIPE, text=True) as dump:
        said = []
        for line in dump.stderr or ():
            said.append(line)
            if "dumping contents of table" in line:
                tell(line.strip().removeprefix("pg_dump: "))
        if dump.wait():
            raise BackupError(f"pg_dump failed: {said[-1].strip() if said else 'without a word'}")


def restore_postgresql(url: URL, path: Path, first: str, *, replace: bool) -> None:
    """pg_restore writes the SQL and psql runs it, in a transaction that ends once all of it was read."""
    read = [tool("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(path)]
    read += ["--clean", "--if-exists"] if replace else []
    write = [tool("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    with (
        running(url, read, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source,
        running(url, write, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as psql,
    ):
        with suppress(BrokenPipeError):
            psql.stdin.write(b"SET client_min_messages = warning; BEGIN;\n")
            copyfileobj(source.stdout, psql.stdin)
            if source.wait() == 0:
                psql.stdin.write(f"RESET search_path; {first}; COMMIT;\n".encode())
        error = psql.communicate()[1].decode().strip()
        if source.wait() or psql.returncode:
            reason = error.splitlines()[0] if error else f"{path} is damaged"
            raise BackupError(f"{reason}. Nothing was changed; if tables already exist, add --replace.")


@contextmanager
def running(url: URL, command: list[str], **options: object) -> Iterator[Any]:
    """A client of PostgreSQL; the address is in its environment, where no list of processes shows the password."""
    with subprocess.Popen(command, env=os.environ | as_environment(url), **options) as process:  # type: ignore[call-overload]  # noqa: S603 - our own command
        yield process


def as_environment(url: URL) -> dict[str, str]:
    """All that an address says, by libpq's own names: several hosts and certificates too."""
    _, said = url.get_dialect()().create_connect_args(url)
    names = {one.keyword.decode(): one.envvar.decode() for one in pq.Conninfo.get_defaults() if one.envvar}
    return {names[name]: str(value) for name, value in said.items() if name in names}


def tool(name: str) -> str:
    path = which(name)
    if path is None:
        raise BackupError(f"{name} is not installed: it comes with PostgreSQL's client (postgresql-client).")
    return path
