"""Calls as the rules of money see them, without a provider."""

from typing import Any

from app.models.catalog.price import ModelPrice
from app.models.identity.actor import Actor
from app.models.metering.reservation import Reservation, reserve_with
from app.providers.base import Prompt


def reserve(actor: Actor, prompt: Prompt, price: ModelPrice, **columns: Any) -> Reservation:
    """Hold the most that the prompt can cost, with nothing that begins beside the call."""
    reservation, _no_ids = reserve_with(None, actor, prompt, price, **columns)
    return reservation
