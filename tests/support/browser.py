"""The browser that drives the pages: a Chromium of the machine."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no browser: install chromium (as root, `make test` does it on Debian)"


def find_chromium() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


def launch_options() -> dict[str, object]:
    """Playwright's options for this machine; root may not use Chromium's own sandbox."""
    arguments = ["--disable-dev-shm-usage", "--disable-gpu"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    return {"executable_path": find_chromium(), "args": arguments}
