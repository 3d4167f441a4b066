"""What werkzeug compiles for a route, kept for the next app of this process: it is most of what making one takes."""

from collections.abc import Callable
from typing import Any

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
    """From now on, in this process."""
    Rule._compile_builder = compiled  # type: ignore[method-assign, assignment]
