"""What a conflict says: for each code, and each case of it, a sentence of its context and details."""

from app.models.metering.refusal import Conflict


def conflict_text(conflict: Conflict) -> str:
    key = f"{conflict.code}:{conflict.case}" if conflict.case else conflict.code
    return CONFLICTS[key].format_map(conflict.details | conflict.context)


CONFLICTS = {
    "already_asked": "You've already asked. An owner or admin will decide.",
    "already_decided": "This request has already been decided.",
    "already_decided:left": "This member has left the team.",
    "already_done": "This request was already made with the same Idempotency-Key. Nothing more was charged.",
    "already_subscribed": "This account already has a subscription. Change its plan instead.",
    "attachment_sent": "This file was sent with a message. Delete the chat to delete it.",
    "cannot_go_on": "This answer can't be continued. Ask a new question.",
    "cannot_go_on:running": "This answer is already being continued.",
    "document_changed": "The document was changed in another tab or by someone else. "
    "Nothing was spent or lost. Reload it, then try again.",
    "idempotency_key_reused": "This Idempotency-Key was used with another request. Use a new key for a new request.",
    "idempotency_key_reused:not_stored": "This Idempotency-Key already started call {call_id}, and its answer "
    "isn't stored. GET /api/usage/calls/{call_id} has its receipt. Use a new key for a new call.",
    "last_owner": "{team} needs an owner. Make someone else in it an owner first, or close it.",
    "no_limit": "You have no monthly limit in this team.",
    "not_subscribed": "This account has no subscription, so nothing was changed.",
    "other_account": "You're in {account} now, and this page shows another account. Nothing was changed. "
    "Reload the page, or switch back first.",
    "passkey_known": "That passkey is already in use.",
    "price_changed": "The price has changed since you saw it. Check the new price, then send again.",
    "price_changed:pack": "This pack's price just changed. Check it and try again; nothing was bought.",
    "reservation_ended": "This reservation was already {how}; its receipt shows the cost.",
    "revision_kept": "This revision is part of the document. Restore another one instead.",
    "revision_running": "It's still being written. Wait until it's done, or stop it.",
    "too_many_endpoints": "You can have {most} endpoints. Remove one first.",
    "too_many_keys": "You can have {most} keys. Revoke one that you no longer use.",
    "too_many_passkeys": "You can have {most} passkeys. Remove one that you no longer use.",
    "too_many_revisions": "This document has {most:,} revisions, the maximum. Copy its text into a new one.",
}
"""A code that is not here is none: `Conflict` may name these alone, which a test holds."""
