"""Where the databases of a test lie: in memory where there is room, for making one is mostly writing files."""

import shutil
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
ROOM = 3 * 2**30
"""Bytes that must be free: three test processes with some databases of 10 MB each, and PostgreSQL's logs."""


def roomy() -> str | None:
    """The folder for temporary ones; None for the usual."""
    has_room = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM
    return str(SHARED_MEMORY) if has_room else None
