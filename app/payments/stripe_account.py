"""Notices that the Stripe key belongs to another account, before any of our ids is used with it."""

import logging

from app.jobs import commit, rollback
from app.models.billing.stripe_account import Identity, StripeAccount, any_id, change, use
from app.notifications import payment_mails
from app.stripe_api import client

UNNOTED = Identity("unnoted", is_live=False, is_certain=False)
"""The account of ids that were written before accounts were noted, and that the key in use does not know."""

log = logging.getLogger(__name__)


def check() -> StripeAccount | None:
    """Make the key's account the one in use; what it was instead of, where it was another. Commits.

    Every use case asks this before it reads an id of Stripe's from our rows.
    """
    if not client.is_set_up():
        return None
    identity = client.identity()
    known = StripeAccount.in_use()
    if known is not None and known.is_of(identity):
        rollback()
        return None
    return note_first(identity) if known is None else replace(known, identity)


def note_first(identity: Identity) -> StripeAccount | None:
    """The first account that is noted: the ids that are there are its own, where it knows one of them."""
    if not knows_ours():
        return replace(use(UNNOTED), identity)
    use(identity)
    commit()
    return None


def replace(known: StripeAccount, identity: Identity) -> StripeAccount | None:
    if not (known.is_certain and identity.is_certain) and known.is_live == identity.is_live and knows_ours():
        known.rename(identity)
        commit()
        return None
    log.warning("another Stripe account is in use", extra={"before": known.label, "now": identity.stripe_id})
    for settings in change(known, identity):
        payment_mails.of_pause(settings, settings.account)
    commit()
    return known


def knows_ours() -> bool:
    """Whether Stripe has, under the key in use, something that we have an id of; also where we have none."""
    kind, stripe_id = any_id() or ("", "")
    return not kind or client.exists(kind, stripe_id)
