"""Folds text for search, in every script: composed, lower case, one form of each letter."""

import unicodedata
from typing import Any

VARIANTS, FORMS = "\u03c2\u0131\u0307", "\u03c3i"
"""A word's last sigma and the dotless i count as the others; the combining dot that lower() leaves of İ is dropped."""

LETTERS = str.maketrans(dict(zip(VARIANTS, [*FORMS, None], strict=True)) | {"\u00df": "ss"})


def fold(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return unicodedata.normalize("NFKC", text).lower().translate(LETTERS)
