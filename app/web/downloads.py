"""Files that are offered for saving, by a name in any script."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from flask import Response


def offer_as(response: Response, name: str) -> Response:
    """Have the browser save it under that name: RFC 6266, with an ASCII stand-in for what reads no other."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    names = {"filename": plain} | ({"filename*": f"UTF-8''{quote(name, safe='')}"} if plain != name else {})
    response.headers.set("Content-Disposition", "attachment", **names)
    return response
