"""Jobs of the chat: a title after the first answer, and files that nobody sent."""

from __future__ import annotations

from app.chat import titling
from app.extensions import db
from app.models.attachment import Attachment


def write_title(chat_id: int) -> None:
    titling.write_title(chat_id)


def forget_unsent_files() -> int:
    """Delete what was attached a day ago and never sent; returns how many."""
    count = Attachment.erase_unsent()
    db.session.commit()
    return count
