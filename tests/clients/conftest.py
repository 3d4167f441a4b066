"""A Python of its own for each client or server, with its packages; kept in `instance/` for the next run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devserver.procfile import PROJECT
from tests.admin.conftest import client_of, owner
from tests.chat.conftest import Door, door
from tests.clients.tools import agent, gateway, with_node

__all__ = ["Door", "agent", "client_of", "door", "gateway", "owner", "with_node"]

PLACE = PROJECT / "instance" / "clients"
Installed = Callable[..., Path]


@pytest.fixture(scope="session")
def installed() -> Installed:
    """`installed("openai-sdk", "openai==3.52.0")`: a Python that has these packages."""

    def of(name: str, *packages: str) -> Path:
        folder, wanted = PLACE / name, "\n".join(packages)
        python, note = folder / "bin" / "python", folder / "packages"
        if not note.exists() or note.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=False)
            if pip.returncode:
                pytest.skip(f"not run: {', '.join(packages)} cannot be installed here")
            note.write_text(wanted)
        return python

    return of
