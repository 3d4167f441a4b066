"""What `make test` needs beside Python's packages: installed where we may, named where we may not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from tests.support import browser, pgbouncer

NEEDED: dict[str, tuple[Callable[[], object], str]] = {
    browser.SHELL: (browser.is_quick, browser.SLOW),
    "chromium": (browser.find_chromium, browser.MISSING),
    "pgbouncer": (pgbouncer.is_installed, pgbouncer.MISSING),
}
"""Debian's package -> whether it or a better one is there, and what is said where it is not."""

UPDATE = ["apt-get", "update", "-qq"]
INSTALL = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]


def missing() -> list[str]:
    return [package for package, (is_there, _words) in NEEDED.items() if not is_there()]


def install(packages: list[str]) -> None:
    """By Debian's packages, as root, each by itself and where still needed; what apt says is shown."""
    environment = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(UPDATE, env=environment, check=False)
    for package in packages:
        if package in missing():
            subprocess.run([*INSTALL, package], env=environment, check=False)


def main() -> None:
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stdout.write(f"Installing {', '.join(missing())} for the tests\n")
        sys.stdout.flush()
        install(missing())
    for package in missing():
        sys.stdout.write(f"{NEEDED[package][1]}\n")


if __name__ == "__main__":
    main()
