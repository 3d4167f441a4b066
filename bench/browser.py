"""10: the chat page in a real browser: what it weighs, when it can be used, and when words are on the screen."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from playwright.sync_api import Page, Response, sync_playwright

from bench.environment import stage
from bench.metrics import Measure, either
from tests.support import browser as browsers
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that

ROUNDS = either(9, 5)
FIRST_WORD = "word0"
NOTES_THE_FIRST_WORD = f"""
new MutationObserver(() => {{
  const answer = document.querySelector("article.answer");
  if (window.shownAt || !answer || !answer.textContent.includes("{FIRST_WORD}")) return;
  window.shownAt = -1;
  requestAnimationFrame(() => setTimeout(() => {{ window.shownAt = performance.timeOrigin + performance.now(); }}));
}}).observe(document, {{childList: true, subtree: true, characterData: true}});
"""
"""The moment after the frame that shows it was drawn, in milliseconds of the wall clock."""

USABLE = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


class TimedProvider(ProviderServer):
    """Notes when it sends the first word of an answer."""

    sent_at = 0.0

    async def _stream(self, *answer: Any, **options: Any) -> bool:
        self.sent_at = time.time() * 1000
        return await super()._stream(*answer, **options)


def measured() -> list[Measure]:
    with visited() as (page, url, provider):
        weights, usable, shown = [], [], []
        for _ in range(ROUNDS):
            weights.append(weight(page, f"{url}/chat"))
            usable.append(float(page.evaluate(USABLE)))
            shown.append(until_shown(page, provider))
    return [
        line("the chat page, nothing cached: compressed, all that it loads", median(weights) / 1000, "kB", 150),
        line("the chat page, nothing cached: until it can be used", median(usable), "ms", 1000),
        line("from the provider's first word to the screen", median(shown), "ms", 50),
    ]


def line(name: str, figure: float, unit: str, most: float) -> Measure:
    return Measure(10, name, f"{figure:,.0f} {unit}", "", figure, most)


@contextmanager
def visited() -> Iterator[tuple[Page, str, TimedProvider]]:
    """ada, signed in, at a browser; the app's address, and the provider that answers her."""
    with (
        stage() as running,
        TimedProvider(tokens=30, first_delay=0.5) as provider,
        sync_playwright() as playwright,
    ):
        running.environment["OPENAI_BASE_URL"] = provider.openai_url
        port = running.tollgate(chats=1).ask("")["port"]
        browser = playwright.chromium.launch(**browsers.launch_options())  # type: ignore[arg-type]
        page, url = browser.new_page(), f"http://127.0.0.1:{port}"
        page.add_init_script(NOTES_THE_FIRST_WORD)
        browsers.sign_in(page, url, "ada@example.com")
        yield page, url, provider
        browser.close()


def weight(page: Page, url: str) -> int:
    """Bytes on the wire of the page and of all that it loads."""
    got: list[Response] = []

    def note(response: Response) -> None:
        got.append(response)

    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.on("response", note)
    page.goto(url, wait_until="networkidle")
    page.remove_listener("response", note)
    sizes = [response.request.sizes() for response in got]
    return sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)


def until_shown(page: Page, provider: TimedProvider) -> float:
    """Milliseconds from the provider's first word to the frame that shows it."""
    page.locator("#content").fill("hello")
    page.locator("#content").press("Enter")
    await_that(lambda: (page.evaluate("window.shownAt") or 0) > 0)
    return float(page.evaluate("window.shownAt")) - provider.sent_at
