"""Jobs of the chat: a title after the first answer; files that nobody sent and chats that nobody claimed are erased."""

from __future__ import annotations

from app.chat import titling
from app.extensions import db
from app.models import deletion
from app.models.attachment import Attachment


def write_title(chat_id: int) -> None:
    titling.write_title(chat_id)


def forget_guests() -> int:
    """Erase the chats of guests who have not come back for a month; returns how many."""
    count = deletion.forget_guests()
    db.session.commit()
    return count


def forget_unsent_files() -> int:
    """Delete what was attached a day ago and never sent; returns how many."""
    count = Attachment.erase_unsent()
    db.session.commit()
    return count
