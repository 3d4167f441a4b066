"""Files sent by people or made by models, and files offered for saving, named in any script."""

import unicodedata
from urllib.parse import quote

from flask import Response

from app.models.chat.attachment import Attachment

ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy of a file that is opened by itself: nothing runs, nothing is loaded."""

READ_AS_TEXT = (".pdf", ".docx", ".xlsx", ".pptx")
"""Names of files of which the text alone is kept."""


def served(file: Attachment) -> Response:
    """An image as what its bytes are, anything else as plain text to be saved."""
    response = Response(file.content, content_type=file.media_type)
    response.headers["Content-Security-Policy"] = ALONE
    if not file.is_image:
        response.content_type = f"{file.media_type}; charset=utf-8"
        offer_as(response, f"{file.name}.txt" if file.name.lower().endswith(READ_AS_TEXT) else file.name)
    return response


def file_name(title: str, otherwise: str, *, between: str = " ", most: int = 80) -> str:
    """A title as a file is called, in its own script: letters with their marks, and digits, words apart."""
    known = (c if unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFC", title))
    return between.join("".join(known).split())[:most].strip(between) or otherwise


def offer_as(response: Response, name: str) -> Response:
    """Have the browser save it under that name: RFC 6266, with an ASCII stand-in for what reads no other."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    names = {"filename": plain} | ({"filename*": f"UTF-8''{quote(name, safe='')}"} if plain != name else {})
    response.headers.set("Content-Disposition", "attachment", **names)
    return response
