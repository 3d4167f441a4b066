"""The steps of work with money: a commit, or a request to Stripe. Between two of them nothing is there to be lost.

A process that dies before a step is, for all others, as one that died after the step before.
"""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.extensions import db
from tests.support.stripe_contract import ContractClient

SECONDS = 60
"""How long a process of `is_killed_at` may take."""


@contextmanager
def at_step(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Calls `act` after the step of that number, counted from 0."""
    passed = count()

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            if next(passed) == number:
                act()
            return result

        return stepping

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "commit", watched(Session.commit))
        patch.setattr(ContractClient, "request", watched(ContractClient.request))
        yield


def is_killed_at(number: int, app: Flask, work: Callable[[], object]) -> bool:
    """Do the work in a process of its own, which is killed (-9) after that step; False where it came to its end first.

    The process is a fork of this one, in milliseconds, with connections of its own.
    """
    db.session.remove()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        work_until(number, app, work)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the work failed, see what it wrote"
    return os.WIFSIGNALED(status)


def work_until(number: int, app: Flask, work: Callable[[], object]) -> None:
    """Never returns."""
    status = 1
    try:
        signal.alarm(SECONDS)
        db.engine.dispose(close=False)
        app.extensions.pop("stripe", None)
        app.extensions["stripe_http"] = ContractClient()
        with at_step(number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            work()
        status = 0
    finally:
        os._exit(status)
