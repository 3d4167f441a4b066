"""Reads the Procfile: the same commands run here and in production."""

import shlex
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def commands() -> dict[str, list[str]]:
    """Each process's command by its name, its program found beside this Python."""
    named = (line.split(":", 1) for line in (PROJECT / "Procfile").read_text().splitlines() if line)
    return {name: beside_python(shlex.split(command)) for name, command in named}


def beside_python(command: list[str]) -> list[str]:
    """The command with its program's full path in the running virtual environment."""
    program = shutil.which(command[0], path=str(Path(sys.executable).parent))
    return [program or command[0], *command[1:]]
