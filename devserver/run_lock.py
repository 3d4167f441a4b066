"""One run in one folder: the lock on `instance/`, in which the run's address is written."""

import fcntl
import os
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "instance" / "running.lock"


def hold(address: str) -> int:
    """Keep `instance/` to this run; the system lets go however it ends. BlockingIOError where another has it."""
    LOCK.parent.mkdir(exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    os.ftruncate(lock, 0)
    os.pwrite(lock, address.encode(), 0)
    return lock


def already_running() -> str:
    """The sentence about the run that has this folder; empty where none has."""
    try:
        with LOCK.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"Tollgate is already running in this folder: {LOCK.read_text()}"
    except OSError:
        pass
    return ""
