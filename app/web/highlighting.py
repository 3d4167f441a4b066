"""Highlights code with Pygments: languages with quick lexers, within a time budget."""

import time
from functools import lru_cache

from markdown_it.common.utils import escapeHtml
from pygments import format as format_tokens
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_all_lexers, get_lexer_by_name
from pygments.token import STANDARD_TYPES

CLASSES = {name for name in STANDARD_TYPES.values() if name}
FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)
LONGEST = 30_000
SECONDS = 0.1
"""Of processor time for one block; what comes after it stays plain."""

QUICK = """
bash c clojure cpp csharp css dart diff docker elixir go graphql haskell html ini java javascript json jsx kotlin latex
lua markdown matlab nginx perl php powershell python r ruby rust scala scss sql swift toml tsx typescript xml yaml
"""
LANGUAGES = set(QUICK.split())

ALIASES = {
    alias
    for _name, aliases, _files, _types in get_all_lexers(plugins=False)
    if not LANGUAGES.isdisjoint(aliases)
    for alias in aliases
}


def highlighted(code: str, language: str) -> str:
    """The code with Pygments' classes; plain where the language is not one of ours, or the code very long."""
    is_ours = language.lower() in ALIASES and len(code) <= LONGEST
    return coloured(code, language.lower()) if is_ours else escapeHtml(code)


@lru_cache(maxsize=128)
def coloured(code: str, alias: str, seconds: float = SECONDS) -> str:
    """As much of it as there is time for, and the rest plain. Its lines end as Pygments has them, by LF."""
    lexer = get_lexer_by_name(alias, stripnl=False, ensurenl=False)
    code = code.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    tokens, length, end = [], 0, time.thread_time() + seconds
    for kind, text in lexer.get_tokens(code):
        tokens.append((kind, text))
        length += len(text)
        if time.thread_time() > end:
            break
    html = format_tokens(tokens, FORMATTER)
    return (html if code[:length].endswith("\n") else html.removesuffix("\n")) + escapeHtml(code[length:])
