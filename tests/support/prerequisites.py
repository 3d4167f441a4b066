"""What `make test` needs beside Python's packages: a browser, installed where we may, named where we may not."""

import os
import shutil
import subprocess
import sys

from tests.support.browser import MISSING, find_chromium

INSTALL = (
    ["apt-get", "update", "-qq"],
    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
)


def install_chromium() -> None:
    """By Debian's packages, as root; what apt says is shown."""
    for command in INSTALL:
        done = subprocess.run(
            command, env=dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}, check=False
        )
        if done.returncode:
            return


def main() -> None:
    if not find_chromium() and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stdout.write("Installing chromium for the tests of the pages\n")
        sys.stdout.flush()
        install_chromium()
    if not find_chromium():
        sys.stdout.write(f"{MISSING}; the tests that need it are listed at the end\n")


if __name__ == "__main__":
    main()
