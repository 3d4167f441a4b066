"""The browser that drives the pages: a Chromium of the machine."""

import os
import re
import shutil

from playwright.sync_api import Page

from tests.support.people import PASSWORD

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no browser: install chromium (as root, `make test` does it on Debian)"


def find_chromium() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


def launch_options() -> dict[str, object]:
    """Playwright's options for this machine; root may not use Chromium's own sandbox."""
    arguments = ["--disable-dev-shm-usage", "--disable-gpu"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    return {"executable_path": find_chromium(), "args": arguments}


def sign_in(page: Page, url: str, email: str, password: str = PASSWORD) -> None:
    """By the form, until the chat is there."""
    page.goto(f"{url}/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/chat"))
