"""The tier at which a vendor serves a call, as prices know it. Pure. billing-rules.md 3."""

from __future__ import annotations

ORDINARY = ""
ORDINARY_WORDS = frozenset({"", "auto", "default", "on_demand", "standard", "standard_only"})
"""What vendors call the tier that their price list is about."""


def price_tier(word: str | None) -> str:
    """The tier that a vendor's word stands for: empty for the ordinary one."""
    said = (word or "").strip().lower()
    return ORDINARY if said in ORDINARY_WORDS else said
