"""Search in one's chats, by title and by what was said, with the words around it."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select

from app.db.case_folding import fold
from app.extensions import db
from app.models.chat.chat import Chat, Message
from app.models.search import contains

BEFORE, AFTER = 30, 60
"""Characters that are shown around what was found."""

MARKUP = re.compile(r"\*\*|`+|\||(?:^|(?<= ))#+ ")


class Excerpt(NamedTuple):
    """Where something was said. `match` is as it was written; empty where only the database can tell it."""

    message_id: int
    before: str
    match: str
    after: str


def mentions(text: str) -> ColumnElement[bool]:
    """Whether a chat has the text in its title or in a message of any branch."""
    said = select(Message.chat_id).where(contains(Message.content, text), Message.chat_id == Chat.id)
    return or_(contains(Chat.title, text), said.exists())


def excerpts(chats: Sequence[Chat], text: str) -> dict[int, Excerpt]:
    """The newest message of each chat that has the text, by the chat's id."""
    said = Message.chat_id.in_([chat.id for chat in chats]), contains(Message.content, text)
    newest = select(func.max(Message.id)).where(*said).group_by(Message.chat_id)
    matching = db.session.execute(select(Message.chat_id, Message.id, Message.content).where(Message.id.in_(newest)))
    return {chat_id: Excerpt(message_id, *around(content, text)) for chat_id, message_id, content in matching}


def around(content: str, text: str) -> tuple[str, str, str]:
    """What stands before the text, the text as it is written there, and what stands after it, on one line."""
    if not MARKUP.search(text):
        content = MARKUP.sub("", " ".join(content.split()))
    letters = unicodedata.normalize("NFC", " ".join(content.split()))
    folded = [fold(letter) for letter in letters]
    at = "".join(folded).find(fold(text))
    start = position(folded, at) if at >= 0 else 0
    end = position(folded, at + len(fold(text))) if at >= 0 else 0
    first = max(0, start - BEFORE)
    before = "…" + letters[first:start].split(" ", 1)[-1] if first else letters[:start]
    after = letters[end : end + AFTER] + ("…" if end + AFTER < len(letters) else "")
    return before, letters[start:end], after


def position(folded: Sequence[str], at: int) -> int:
    """The place among the letters of what is at that place when they are folded: one may become two."""
    length = 0
    for number, letter in enumerate(folded):
        if length >= at:
            return number
        length += len(letter)
    return len(folded)
