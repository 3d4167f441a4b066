"""What a conflict says: for each code, and each case of it, a sentence of its context and details."""

from __future__ import annotations

from app.models.metering.refusal import Conflict


def conflict_text(conflict: Conflict) -> str:
    key = f"{conflict.code}:{conflict.case}" if conflict.case else conflict.code
    return CONFLICTS[key].format_map(conflict.details | conflict.context)


CONFLICTS = {
    "already_asked": "You have asked already. An owner or admin will decide.",
    "already_decided": "This request has been decided already.",
    "already_decided:left": "This member has left the team.",
    "already_done": "This request was made before, under the same Idempotency-Key. Nothing more was charged.",
    "already_subscribed": "This account already has a subscription. Change its plan instead.",
    "attachment_sent": "This file was sent with a message. Delete the chat to delete it.",
    "cannot_go_on": "This answer isn't one to go on with. Ask a new question.",
    "cannot_go_on:running": "This answer is being written on already.",
    "document_changed": "The document was changed meanwhile, in another tab or by somebody else. "
    "Nothing was spent or lost: load it again, then repeat what you wanted to do.",
    "idempotency_key_reused": "This Idempotency-Key was used with another request. "
    "Use a new key for a new request.",
    "idempotency_key_reused:not_stored": "This Idempotency-Key has begun call {call_id} already, and its answer "
    "is stored nowhere. GET /api/usage/calls/{call_id} has its receipt. Use a new key for a new call.",
    "last_owner": "An account needs an owner. Make somebody else an owner first, or close the account.",
    "no_limit": "You have no monthly limit in this team.",
    "not_subscribed": "This account has no subscription, so nothing was changed.",
    "passkey_known": "That passkey is in use already.",
    "price_changed": "The price has changed since you saw it. Check the new price, then send again.",
    "price_changed:pack": "This pack's price just changed. Check it and try again; nothing was bought.",
    "reservation_ended": "This reservation was {how}. Its receipt says what it came to.",
    "revision_kept": "This revision is part of the document. Restore another one instead.",
    "revision_running": "It is still being written. Wait for its end, or stop it.",
    "too_many_endpoints": "There may be {most} endpoints. Remove one first.",
    "too_many_keys": "One person may have {most} keys. Revoke one that is not used anymore.",
    "too_many_passkeys": "You may have {most} passkeys. Remove one that you don't use anymore.",
    "too_many_revisions": "This document has {most:,} revisions, the most that are kept. Copy its text into a new one.",
}
"""A code that is not here is none: `Conflict` may name these alone, which a test holds."""
