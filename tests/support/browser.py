"""The browser that drives the pages: a Chromium of the machine.

Debian's `chromium-headless-shell` opens a page at a fifth of what `chromium` takes, whose windows have a frame that
nobody sees.
"""

import os
import re
import shutil
import subprocess

from playwright.sync_api import Page

from tests.support.people import PASSWORD

SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SLOW = "no chromium-headless-shell: the tests with a browser take a third longer"
MISSING = "no browser: install chromium (as root, `make test` does it on Debian)"


def is_quick() -> bool:
    """Whether there is the quick one, or none that Debian's packages could bring."""
    known = ["apt-cache", "show", "--quiet", SHELL]
    return bool(
        shutil.which(SHELL)
        or not shutil.which("apt-cache")
        or (find_chromium() and subprocess.run(known, capture_output=True, check=False).returncode)
    )


def find_chromium() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


def launch_options() -> dict[str, object]:
    """Playwright's options for this machine; root may not use Chromium's own sandbox."""
    arguments = ["--disable-dev-shm-usage", "--disable-gpu", "--renderer-process-limit=1"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": find_chromium(), "args": arguments}


def sign_in(page: Page, url: str, email: str, password: str = PASSWORD) -> None:
    """By the form, until the chat is there."""
    page.goto(f"{url}/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/chat"))
