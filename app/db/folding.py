"""What a text is found by, in every script: composed, in small letters, one form of each."""

from __future__ import annotations

import unicodedata
from typing import Any

VARIANTS, FORMS = "\u03c2\u0131\u0307", "\u03c3i"
"""The last sigma of a word and the i without a dot count as the others; a dot that small letters leave goes."""

LETTERS = str.maketrans(dict(zip(VARIANTS, [*FORMS, None], strict=True)) | {"\u00df": "ss"})


def fold(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return unicodedata.normalize("NFKC", text).lower().translate(LETTERS)
