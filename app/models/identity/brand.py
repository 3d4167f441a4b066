"""A name, a colour and a logo: the installation's, or an account's own where its plan has custom branding."""

import re
from typing import NamedTuple

from sqlalchemy import LargeBinary, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import Model, refers_to
from app.models.catalog.plan import Plan
from app.models.chat.picture import NotReadable, read_picture
from app.models.identity.account import Account
from app.models.metering.refusal import InvalidRequest

LONGEST_NAME = 60
LARGEST_LOGO = 200_000
COLOR = re.compile(r"#[0-9a-f]{6}")


class ShownRow(NamedTuple):
    """What each page needs of a brand; without `logo_type` there is no logo."""

    id: int
    name: str
    color: str
    logo_type: str


class Brand(Model):
    """One look. `account_id` is None for the installation's; empty fields leave what the installation has."""

    __tablename__ = "brands"

    account_id: Mapped[int | None] = refers_to("accounts.id", unique=True)
    name: Mapped[str] = mapped_column(default="")
    color: Mapped[str] = mapped_column(default="")
    logo: Mapped[bytes | None] = mapped_column(LargeBinary)
    logo_type: Mapped[str] = mapped_column(default="")

    @classmethod
    def of(cls, account_id: int | None) -> "Brand":
        """The row of an account, or of the installation; a new one where there is none."""
        brand = db.session.scalar(select(cls).where(cls.account_id == account_id))
        if brand is None:
            brand = cls(account_id=account_id, name="", color="", logo_type="")
            db.session.add(brand)
        return brand

    @classmethod
    def shown_to(cls, account_id: int | None) -> list[ShownRow]:
        """The account's brand, where its plan allows one, and the installation's, in this order."""
        rows = SHOWN.all(db.session.connection(), {"account": account_id})
        return [ShownRow(*row) for row in rows]

    def change(self, name: str, color: str, logo: bytes | None) -> None:
        """Take what was typed. InvalidRequest names the field; without new bytes the logo stays."""
        name, color = name.replace("\x00", "").strip(), color.strip().lower()
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InvalidRequest({"name": [f"must have at most {LONGEST_NAME} characters."]})
        if color and not COLOR.fullmatch(color):
            raise InvalidRequest({"color": ["must be a colour like #0b6753."]})
        if logo:
            self.logo, self.logo_type = logo, logo_kind(logo)
        self.name, self.color = name, color

    def remove_logo(self) -> None:
        self.logo, self.logo_type = None, ""


def logo_kind(content: bytes) -> str:
    """The media type of a logo. InvalidRequest where it is no picture, or a large one."""
    if len(content) > LARGEST_LOGO:
        raise InvalidRequest({"logo": [f"must be smaller than {LARGEST_LOGO // 1000} kB."]})
    try:
        picture = read_picture(content)
    except NotReadable as broken:
        raise InvalidRequest({"logo": [str(broken)]}) from None
    if picture is None:
        raise InvalidRequest({"logo": ["must be a PNG, JPEG, WebP or GIF."]})
    return picture.media_type


BRANDS, ACCOUNTS, PLANS = (table.__table__ for table in (Brand, Account, Plan))
MAY_BRAND = select(ACCOUNTS.c.id).join(PLANS).where(PLANS.c.has_custom_branding, ACCOUNTS.c.id == bindparam("account"))
SHOWN = CompiledStatement(
    select(*(BRANDS.c[name] for name in ShownRow._fields))
    .where(BRANDS.c.account_id.in_(MAY_BRAND) | BRANDS.c.account_id.is_(None))
    .order_by(BRANDS.c.account_id.is_(None))
)
