"""A brand: an account's own where its plan has it, else the installation's; its colours can always be read."""

from collections.abc import Callable
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.identity.brand import Brand
from app.models.identity.user import User
from app.web.contrast import DARK_SURFACES, LEAST, LIGHT_SURFACES, contrast, palette
from tests.admin.conftest import AdminClient, client_of, owner
from tests.support import Database
from tests.support.pictures import png

__all__ = ["client_of", "owner"]
COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@settings(max_examples=40)
@given(COLORS)
def test_any_colour_can_be_read_on_light_and_on_dark_pages(color: str) -> None:
    made = {name: value.removeprefix("light-dark(").rstrip(")").split(", ") for name, value in palette(color).items()}
    light, dark = made["--accent"]
    assert min(contrast(light, surface) for surface in LIGHT_SURFACES) >= LEAST
    assert min(contrast(dark, surface) for surface in DARK_SURFACES) >= LEAST
    assert all(contrast(ink, under) >= LEAST for ink, under in zip(made["--on-accent"], made["--accent"], strict=True))


@pytest.fixture
def ada(client_of: Callable[..., AdminClient], session: Database) -> AdminClient:
    """On a plan with custom branding."""
    made = client_of(None)
    session.query(User).filter_by(email="person-nobody@example.com").one().memberships[
        0
    ].account.plan.has_custom_branding = True
    session.commit()
    return made


def logo() -> tuple[BytesIO, str]:
    return BytesIO(png(40, 20)), "logo.png"


def test_an_accounts_brand_is_on_its_pages_and_on_no_other(
    ada: AdminClient, client: FlaskClient, session: Database
) -> None:
    assert ada.post("/account/brand", name="Ferries", color="#aa3300", logo=logo()).status_code == 302
    page = ada.get("/account").text
    assert ("Ferries</span>" in page, "--accent: light-dark(#aa3300" in page, "/brand/logo?" in page) == (True,) * 3
    assert ada.get("/brand/logo").content_type == "image/png"
    assert "Ferries" not in client.get("/pricing").text
    assert client.get("/brand/logo").status_code == 404


def test_a_plan_without_branding_shows_the_installations(
    ada: AdminClient, owner: AdminClient, session: Database
) -> None:
    ada.post("/account/brand", name="Ferries", color="")
    account = session.query(Brand).filter(Brand.account_id.is_not(None)).one().account_id
    owner.post("/admin/brand/", name="House of tolls", color="#123456")
    session.expire_all()
    plan = session.query(User).filter_by(email="person-nobody@example.com").one().memberships[0].account.plan
    plan.has_custom_branding = False
    session.commit()
    page = ada.get("/account").text
    assert account is not None
    assert ("Ferries</span>" in page, "House of tolls</span>" in page) == (False, True)
    assert ada.post("/account/brand", name="Ferries", color="").status_code == 403


@pytest.mark.parametrize(
    "typed",
    [{"color": "red"}, {"color": "#12345"}, {"name": "x" * 61}, {"logo": (BytesIO(b"<svg/>"), "logo.svg")}],
)
def test_what_cannot_be_a_brand_is_refused(ada: AdminClient, session: Database, typed: dict[str, object]) -> None:
    fields = {"name": "Ferries", "color": "#aa3300"} | typed
    assert ada.post("/account/brand", **fields).status_code == 400
    assert session.query(Brand).filter(Brand.name == "Ferries").count() == 0
