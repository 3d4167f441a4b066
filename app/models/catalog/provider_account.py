"""Who answers: a provider by its address, its key and what it is known for. billing-rules.md 3."""

import os

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Model, one_of
from app.models.catalog.price_schedule import price_tier
from app.providers.base import ProviderOptions


class ProviderAccount(Model):
    """Where models are served: which wire format, at what address, and the variable that holds its key.

    `service_tier` is asked for with each call, `limit_name` is the name of the output's limit (None: by the address).
    `is_gateway`: what it reports is its own count of another's answer. `reports_running`: figures come with each piece.
    """

    __tablename__ = "providers"
    __table_args__ = (one_of("kind", "openai", "anthropic", "demo", "google"),)

    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    base_url: Mapped[str | None]
    base_url_variable: Mapped[str | None]
    key_variable: Mapped[str | None]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    service_tier: Mapped[str | None]
    limit_name: Mapped[str | None]
    is_gateway: Mapped[bool] = mapped_column(default=False)
    reports_running: Mapped[bool] = mapped_column(default=False)

    @property
    def options(self) -> ProviderOptions:
        """How it is to be asked."""
        return ProviderOptions(self.service_tier, self.limit_name, self.reports_running)

    @property
    def tier(self) -> str:
        """The tier that is asked for, as prices know it."""
        return price_tier(self.service_tier)

    @property
    def api_key(self) -> str | None:
        return os.environ.get(self.key_variable) if self.key_variable else None

    @property
    def address(self) -> str | None:
        """The environment's address where a variable is named and set, else the row's."""
        return (os.environ.get(self.base_url_variable) if self.base_url_variable else None) or self.base_url

    @property
    def is_usable(self) -> bool:
        return self.is_enabled and (self.key_variable is None or bool(self.api_key))
