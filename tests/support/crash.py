"""Crash points: kills the process at a named step, from outside the app, which knows nothing of it.

TOLLGATE_CRASH names the step: `before module:function` or `after module:Class.method`, with ` #3` for the
third time that it is passed. The process ends by SIGKILL, as if the machine had lost it.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any


def arm() -> None:
    """Wrap the function that TOLLGATE_CRASH names, wherever it was imported to."""
    moment, step, *times = os.environ["TOLLGATE_CRASH"].split()
    module_name, _, path = step.partition(":")
    owner: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    plain = owner.__dict__[name]
    deadly = _rewrapped(plain, moment, int(times[0].lstrip("#")) if times else 1)
    setattr(owner, name, deadly)
    for module in list(sys.modules.values()):
        for alias in [key for key, value in vars(module).items() if value is plain]:
            setattr(module, alias, deadly)


def _rewrapped(plain: Any, moment: str, times: int) -> Any:
    if isinstance(plain, classmethod | staticmethod):
        return type(plain)(_deadly(plain.__func__, moment, times))
    return _deadly(plain, moment, times)


def _deadly(function: Callable[..., Any], moment: str, times: int) -> Callable[..., Any]:
    passes = count(1)

    @wraps(function)
    def crashing(*arguments: Any, **options: Any) -> Any:
        is_the_one = next(passes) == times
        if is_the_one and moment == "before":
            _die()
        result = function(*arguments, **options)
        if is_the_one and moment == "after":
            _die()
        return result

    return crashing


def _die() -> None:
    """Kill the whole session: gunicorn's master too, which would only start another worker."""
    os.killpg(os.getpgid(0), signal.SIGKILL)
