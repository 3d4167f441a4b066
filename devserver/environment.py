"""Makes `.venv` and installs a lock into it, when that has not been done: the standard library alone."""

import importlib.util
import os
import subprocess
import sys
import zlib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / ".venv"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "installed-locks"
FIND_PIP = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
CONTAINS = {"local": ("local",), "test": ("test", "local")}
"""The test lock holds everything of the local one, at the same versions."""


def main(kind: str) -> None:
    """Bring `.venv` to the lock. Exits where something is missing."""
    has_pip = PYTHON.exists() and not subprocess.run([PYTHON, "-c", FIND_PIP], check=False).returncode
    if has_pip and STAMP.exists() and fingerprint(kind) in STAMP.read_text().splitlines():
        return
    if not has_pip:
        make_folder()
    STAMP.unlink(missing_ok=True)
    lock = lock_of(kind)
    print(f"Installing {lock.name} (this once; a minute or two)", flush=True)
    options = ["--quiet", "--require-hashes", "--disable-pip-version-check", "-r", str(lock)]
    if subprocess.run([PYTHON, "-m", "pip", "install", *options], check=False).returncode:
        sys.exit("pip could not install the packages; what it said is above.")
    subprocess.run([PYTHON, "-m", "devserver.redis_binary"], cwd=PROJECT, check=True)
    STAMP.write_text("\n".join(fingerprint(part) for part in CONTAINS[kind]) + "\n")


def lock_of(kind: str) -> Path:
    return PROJECT / f"requirements-{kind}.txt"


def fingerprint(kind: str) -> str:
    return f"{kind} {zlib.crc32(lock_of(kind).read_bytes()):08x}"


def make_folder() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"Python {version} is here without its venv. On Debian: apt-get install python{version}-venv"
        )
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=False).returncode:
        sys.exit("Python could not make .venv; what it said is above.")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except OSError as error:
        sys.exit(f"Tollgate cannot write to {error.filename or PROJECT}: {os.strerror(error.errno or 0)}")
