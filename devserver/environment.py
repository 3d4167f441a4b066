"""Makes `.venv` and installs a lock into it, when that has not been done: the standard library alone."""

import importlib.util
import os
import subprocess
import sys
import zlib
from collections import deque
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / ".venv"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "installed-locks"
CONTAINS = {"local": ("local",), "test": ("test", "local")}
"""The test lock holds everything of the local one, at the same versions."""


class Refused(Exception):
    """The environment cannot be made; the message says why and what helps."""


def lock_of(kind: str) -> Path:
    return PROJECT / f"requirements-{kind}.txt"


def fingerprint(kind: str) -> str:
    return f"{kind} {zlib.crc32(lock_of(kind).read_bytes()):08x}"


def is_installed(kind: str) -> bool:
    return PYTHON.exists() and STAMP.exists() and fingerprint(kind) in STAMP.read_text().splitlines()


def install(kind: str) -> None:
    """Bring `.venv` to the lock; Refused where something is missing."""
    if is_installed(kind) and works(PYTHON):
        return
    if not works(PYTHON):
        make_folder()
    STAMP.unlink(missing_ok=True)
    pip_install(lock_of(kind))
    subprocess.run([PYTHON, "-m", "devserver.redis_binary"], cwd=PROJECT, check=True)
    STAMP.write_text("\n".join(fingerprint(part) for part in CONTAINS[kind]) + "\n")


def works(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def make_folder() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Refused(
            f"Python {version} is here without its venv. On Debian: apt-get install python{version}-venv"
        )
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"Python could not make .venv: {(done.stderr or done.stdout).decode().strip()}")


def pip_install(lock: Path) -> None:
    """Install by plain pip, hashes checked, one line of progress for every tenth package."""
    print(f"Installing {lock.name} (this once)", flush=True)
    options = ["--require-hashes", "--disable-pip-version-check", "-r", str(lock)]
    collected, said = 0, deque[str](maxlen=40)
    with subprocess.Popen(
        [str(PYTHON), "-m", "pip", "install", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as pip:
        for line in pip.stdout or ():
            said.append(line)
            collected += line.startswith("Collecting ")
            if line.startswith("Collecting ") and collected % 10 == 0:
                print(f"  {collected} packages", flush=True)
    if pip.returncode:
        raise Refused(f"{''.join(said)}\npip could not install the packages; what it said is above.")


def main(kind: str) -> int:
    try:
        install(kind)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"Tollgate cannot write to {error.filename or PROJECT}: {os.strerror(error.errno or 0)}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
