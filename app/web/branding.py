"""The brand of a page: the account's own, else the installation's, else the product's."""

from dataclasses import dataclass

from flask import Response, abort, g, request
from flask_login import current_user
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from app.extensions import db
from app.models.catalog.setting import DEFINITIONS, Setting
from app.models.identity.brand import LARGEST_LOGO, Brand
from app.web.contrast import palette

ALONE = "default-src 'none'; sandbox"
"""The policy of a logo that is opened by itself."""


@dataclass(frozen=True, slots=True)
class ShownBrand:
    """`css` are declarations of custom properties; `logo_id` names the picture, None for the product's mark."""

    name: str
    css: str = ""
    logo_id: int | None = None


def brand() -> ShownBrand:
    """The brand of this page, read once a request; the default where the database is away, so that error pages work."""
    if "brand" not in g:
        try:
            g.brand = look_up()
        except (DBAPIError, NoConnection):
            return ShownBrand(str(DEFINITIONS["brand_name"].default))
    shown: ShownBrand = g.brand
    return shown


def brand_name() -> str:
    return brand().name


def look_up() -> ShownBrand:
    account_id = getattr(current_user, "account_id", None) if current_user.is_authenticated else None
    rows = Brand.shown_to(account_id)
    name = next((row.name for row in rows if row.name), str(Setting.get("brand_name")))
    color = next((row.color for row in rows if row.color), "")
    logo_id = next((row.id for row in rows if row.logo_type), None)
    return ShownBrand(name, css_of(color) if color else "", logo_id)


def css_of(color: str) -> str:
    return "; ".join(f"{name}: {value}" for name, value in palette(color).items())


def logo_response() -> Response:
    """The picture of the brand that the reader is shown."""
    shown = brand()
    kept = db.session.get(Brand, shown.logo_id) if shown.logo_id else None
    if kept is None or kept.logo is None:
        abort(404)
    response = Response(kept.logo, content_type=kept.logo_type)
    response.headers["Content-Security-Policy"] = ALONE
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


def take_form(brand: Brand) -> None:
    """Change a brand to what the request's form holds. InvalidRequest names what is wrong with it."""
    uploaded = request.files.get("logo")
    logo = uploaded.stream.read(LARGEST_LOGO + 1) if uploaded and uploaded.filename else None
    brand.change(request.form.get("name", ""), request.form.get("color", ""), logo)
    if "remove_logo" in request.form:
        brand.remove_logo()
