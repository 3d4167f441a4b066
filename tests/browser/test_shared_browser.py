"""Two people at one browser: what one left is not there for the next. security.md 31."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser


def kept(visitor: Visitor) -> dict[str, str]:
    """What the browser's storage holds."""
    return dict(visitor.page.evaluate("() => ({ ...localStorage, ...sessionStorage })"))


def test_a_draft_of_one_whose_session_ended_is_not_shown_to_the_next(
    ada: Visitor, arrive: Callable[..., Visitor]
) -> None:
    ada.message.fill("my unsent secret")
    assert "my unsent secret" in kept(ada).values()
    eve = arrive("eve")
    expect(eve.message).to_have_value("")
    assert "secret" not in str(kept(eve))
    a_draft_ends_with_signing_out(eve)


def a_draft_ends_with_signing_out(visitor: Visitor) -> None:
    visitor.message.fill("my unsent secret")
    assert "my unsent secret" in kept(visitor).values()
    visitor.page.locator("summary[aria-label='Your account']").click()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url("**/")
    assert "secret" not in str(kept(visitor))
