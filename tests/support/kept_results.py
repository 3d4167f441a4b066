"""What packages find out again for each app and each connection, kept in this process.

What werkzeug compiles for a route is most of what making an app takes; redis-py reads its own version from a file
for each connection, and an app in a test has a few.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import redis.utils
from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]
compiled_anew: Callable[[Rule, bool], Builder] = Rule._compile_builder
_kept: dict[tuple[Any, ...], Builder] = {}


def compiled(rule: Rule, append_unknown: bool = True) -> Builder:
    """What builds a rule's addresses: a function of its text and defaults, to which the rule itself is passed."""
    known = rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown
    if known not in _kept:
        _kept[known] = compiled_anew(rule, append_unknown)
    return _kept[known]


def keep() -> None:
    """From now on."""
    Rule._compile_builder = compiled  # type: ignore[method-assign, assignment]
    redis.utils.get_lib_version = cache(redis.utils.get_lib_version)
