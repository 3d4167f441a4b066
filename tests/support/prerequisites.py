"""What `make test` needs beside Python's packages: installed where we may, named where we may not."""

import os
import shutil
import subprocess
import sys

from tests.support import browser, pgbouncer

NEEDED = {
    "chromium": (browser.find_chromium, browser.MISSING),
    "pgbouncer": (pgbouncer.is_installed, pgbouncer.MISSING),
}
"""Debian's package -> whether it is there, and what is said where it is not."""

UPDATE = ["apt-get", "update", "-qq"]
INSTALL = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]


def missing() -> list[str]:
    return [package for package, (is_there, _words) in NEEDED.items() if not is_there()]


def install(packages: list[str]) -> None:
    """By Debian's packages, as root, each by itself; what apt says is shown."""
    for command in (UPDATE, *([*INSTALL, package] for package in packages)):
        environment = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, env=environment, check=False)


def main() -> None:
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stdout.write(f"Installing {', '.join(missing())} for the tests\n")
        sys.stdout.flush()
        install(missing())
    for package in missing():
        sys.stdout.write(f"{NEEDED[package][1]}; the tests that need it are listed at the end\n")


if __name__ == "__main__":
    main()
