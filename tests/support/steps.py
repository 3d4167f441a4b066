"""The steps of work with money: a commit of something written, or a request to Stripe that is no GET.

Between two of them nothing is there to be lost: a process that dies before a step is, for all others, as one that died
after the step before.
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
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from app.extensions import db
from tests.support.stripe_contract import ContractClient

SECONDS = 60
"""How long a process of `is_killed_at` may take."""


class Steps:
    """Counts the steps that are passed, from 0, and calls `act` after the one of that number."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.number, self.act = number, act
        self.passed, self.has_written = count(), False
        self.commit, self.request = Session.commit, ContractClient.request

    def step(self) -> None:
        if next(self.passed) == self.number:
            self.act()

    def note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.has_written |= not statement.lstrip().upper().startswith("SELECT")

    def committing(self, session: Session) -> None:
        self.commit(session)
        if self.has_written:
            self.has_written = False
            self.step()

    def asking(self, client: ContractClient, method: str, *arguments: Any) -> Any:
        answer = self.request(client, method, *arguments)
        if method.upper() != "GET":
            self.step()
        return answer


@contextmanager
def at_step(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Calls `act` after the step of that number, counted from 0."""
    steps = Steps(number, act)

    def commit(session: Session) -> None:
        steps.committing(session)

    def request(client: ContractClient, *asked: Any) -> Any:
        return steps.asking(client, *asked)

    event.listen(Engine, "before_cursor_execute", steps.note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "commit", commit)
            patch.setattr(ContractClient, "request", request)
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", steps.note)


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
