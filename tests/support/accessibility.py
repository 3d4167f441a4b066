"""What is wrong with a page for those who see, hear or tap otherwise: axe, on each part the first time that it is met.

With `LONG=1` all of every page is looked at.
"""

import os

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

QUICK = (
    "aria-allowed-attr", "aria-required-attr", "aria-valid-attr-value", "button-name", "document-title",
    "duplicate-id-aria", "heading-order", "image-alt", "label", "landmark-one-main", "link-name", "list",
    "page-has-heading-one", "scope-attr-valid", "select-name", "tabindex",
)  # fmt: skip
"""What axe sees at once, and what is about the page as a whole: it is asked of all of it each time."""

FIND_PARTS = """() => {
  const states = ["class", "role", "type", "open", "disabled", "aria-current", "aria-pressed", "aria-disabled"];
  window.partsOfPage = new Map();
  const look = (element, around) => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return;
    const own = element.localName + states.map((name) => element.getAttribute(name) ?? "").join(",");
    const names = [...around.slice(-3), own], name = names.join(" > ");
    if (!partsOfPage.has(name)) partsOfPage.set(name, []);
    partsOfPage.get(name).push(element);
    for (const child of element.children) look(child, names);
  };
  look(document.body, []);
  return [...partsOfPage.keys()];
}"""
"""The kinds of visible parts, each named by what decides how it looks: element, class, state, and what is around.

Of each the first and the last are looked at, without what they hold that is of another kind.
"""

LOOK = """async ([names, rules]) => {
  const ends = (moving) => moving.effect.getComputedTiming().endTime < Infinity;
  for (let round = 0; round < 5; round += 1) {  // what inherits a colour begins to move when that has come to its end
    document.getAnimations().filter(ends).forEach((moving) => moving.finish());
  }
  const isFirstOrLast = (_part, at, all) => at === 0 || at === all.length - 1;
  const include = (names ?? []).flatMap((name) => partsOfPage.get(name).filter(isFirstOrLast));
  const parts = new Set(include);
  const isWithin = (part) => parts.has(part.parentElement);
  const others = names ? [...partsOfPage.values()].flat().filter((part) => !parts.has(part)) : [];
  const only = { include: include.filter((part) => !isWithin(part)), exclude: others.filter(isWithin) };
  const context = names ? only : document;  // what follows from the part around is not said: axe takes long over lists
  const { violations } = await axe.run(context, { resultTypes: ["violations"], ...rules });
  return violations.flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.target}`));
}"""

IS_DRAWN = """scheme => matchMedia(`(prefers-color-scheme: ${scheme})`).matches
    && matchMedia("(prefers-reduced-motion: reduce)").matches"""
AXE = Axe().axe_script

seen: set[str] = set()
"""The parts that this process has looked at, by scheme, width and name."""


def faults_of(page: Page) -> list[str]:
    """By light; and in the dark what is another then: the contrast."""
    dark = faults_by(page, "dark", ["color-contrast"])
    return [*faults_by(page, "light"), *(f"dark: {fault}" for fault in dark)]


def faults_by(page: Page, scheme: str, rules: list[str] | None = None) -> list[str]:
    """By these rules or by all, the parts that were not yet looked at; by those that are quick, the whole page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    faults = [] if rules else violations(page, None, list(QUICK))
    if new := new_parts(page, scheme):
        draw(page, scheme)
        faults += violations(page, new, rules)
    return faults


def draw(page: Page, scheme: str) -> None:
    if not page.evaluate(IS_DRAWN, scheme):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")


def new_parts(page: Page, scheme: str) -> list[str]:
    """The names of those that were not looked at."""
    width = page.evaluate("innerWidth < 600")
    names = {name: f"{scheme} {width} {name}" for name in page.evaluate(FIND_PARTS)}
    new = [name for name, full in names.items() if os.environ.get("LONG") == "1" or full not in seen]
    seen.update(names.values())
    return new


def violations(page: Page, parts: list[str] | None, rules: list[str] | None) -> list[str]:
    asked = [parts, {"runOnly": rules} if rules else {}]
    if faults := page.evaluate(LOOK, asked):
        page.wait_for_timeout(500)  # a crowded machine may still draw the other scheme
        faults = page.evaluate(LOOK, asked)
    return [str(fault) for fault in faults]


def too_wide(page: Page) -> int:
    """By how many pixels."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
