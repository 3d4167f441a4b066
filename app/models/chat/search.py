"""Search in one's chats, by title and by what was said, with the words around it."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
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
    start, end = place_of(fold(text), letters)
    first = max(0, start - BEFORE)
    before = "…" + letters[first:start].split(" ", 1)[-1] if first else letters[:start]
    after = letters[end : end + AFTER] + ("…" if end + AFTER < len(letters) else "")
    return before, letters[start:end], after


def place_of(folded: str, letters: str) -> tuple[int, int]:
    """Where among the letters that begins and ends; at the beginning where it is not there."""
    whole = fold(letters)
    at = whole.find(folded)
    if at < 0:
        return 0, 0
    if len(whole) == len(letters):
        return at, at + len(folded)
    ends = list(accumulate(len(fold(letter)) for letter in letters))  # one may become two
    return bisect_right(ends, at), bisect_left(ends, at + len(folded)) + 1
