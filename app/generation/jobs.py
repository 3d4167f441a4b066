"""Jobs about chats: delete what nobody sent, claimed or kept, and add up calls."""

from flask import current_app

from app.extensions import db
from app.models.base import utcnow
from app.models.chat.attachment import Attachment
from app.models.identity import erasure
from app.models.metering.usage_rollup import add_up
from app.models.operations.refused_call import RefusedCall


def forget_guests() -> int:
    """Erase the chats of guests that were silent for as long as the cookie lives that says whose they are; how many."""
    count = erasure.forget_guests(current_app.permanent_session_lifetime)
    db.session.commit()
    return count


def forget_deleted_chats() -> int:
    """Delete the temporary chats whose time is over, and erase the text of those that were deleted as many days ago
    as the setting says; how many."""
    count = erasure.delete_temporary_chats() + erasure.erase_due_chats()
    db.session.commit()
    return count


def forget_unsent_files() -> int:
    """Delete what was attached a day ago and never sent; returns how many."""
    count = Attachment.erase_unsent()
    db.session.commit()
    return count


def add_up_calls() -> None:
    """Add up the calls that have ended, so that no page need read them all."""
    add_up(utcnow())
    db.session.commit()


def forget_refused_calls() -> int:
    """Delete the refused calls that are older than they are kept; returns how many."""
    count = RefusedCall.forget(utcnow())
    db.session.commit()
    return count
