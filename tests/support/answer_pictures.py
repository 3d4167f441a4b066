"""Pictures of texts as models write them: `python -m tests.support.answer_pictures FOLDER`; then look at them.

`model_texts.md` holds the texts: each begins with a line of `%%` and what it shows.
"""

from __future__ import annotations

import sys
from pathlib import Path

from markupsafe import escape
from playwright.sync_api import sync_playwright

from app.web.markdown import render
from tests.support import browser as browsers

TEXTS = Path(__file__).with_name("model_texts.md")
STYLES = Path(__file__).parents[2] / "app" / "static" / "css"
A_PICTURE = 10


def texts() -> dict[str, str]:
    parts = TEXTS.read_text().removeprefix("%% ").split("\n%% ")
    return {title: text.strip("\n") for title, _, text in (part.partition("\n") for part in parts)}


def page_of(shown: list[tuple[str, str]]) -> str:
    """Each text beside what it becomes."""
    styles = "".join((STYLES / f"{name}.css").read_text() for name in ("base", "chat", "code"))
    rows = "".join(
        f"<tr><td><b>{escape(title)}</b><pre>{escape(text)}</pre><td><div class='prose' dir='auto'>{render(text)}</div>"
        for title, text in shown
    )
    styles += ".beside { width: 100%; table-layout: fixed } .beside > * > tr > td { vertical-align: top }"
    styles += ".beside > * > tr > td > pre { white-space: pre-wrap }"
    return f"<meta charset='utf-8'><style>{styles}</style><table class='beside'>{rows}</table>"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shown = list(texts().items())
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(**browsers.launch_options()).new_page()  # type: ignore[arg-type]
        for first in range(0, len(shown), A_PICTURE):
            page.set_content(page_of(shown[first : first + A_PICTURE]))
            page.screenshot(path=folder / f"{first // A_PICTURE + 1}.png", full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
