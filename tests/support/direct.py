"""The sandboxes of this process, reached without a network: a request is a call, in a fifth of its time."""

import os
from collections.abc import Mapping

from requests.structures import CaseInsensitiveDict
from werkzeug.test import Client

from sandbox.server import RunningSandbox

Answer = tuple[str, int, Mapping[str, str]]
_here: dict[tuple[int, str], RunningSandbox] = {}


def offer(running: RunningSandbox) -> None:
    _here[os.getpid(), running.url] = running


def withdraw(running: RunningSandbox) -> None:
    _here.pop((os.getpid(), running.url), None)


def at(url: str) -> RunningSandbox | None:
    """The sandbox at that address; None where it is another process's, or its network is to fail."""
    running = _here.get((os.getpid(), url[: url.index("/", 8)]))
    if running is None or any(fault.count > 0 for fault in running.sandbox.faults.calls):
        return None
    return running


def door(running: RunningSandbox) -> Client:
    """A client of its web application."""
    return Client(running.app, use_cookies=False)


def ask(
    running: RunningSandbox, method: str, url: str, headers: Mapping[str, str] | None, body: str | bytes | None
) -> Answer:
    """The body, the status and the headers of what it answers."""
    answer = door(running).open(url, method=method.upper(), headers=dict(headers or {}), data=body)
    return answer.get_data(as_text=True), answer.status_code, CaseInsensitiveDict(answer.headers)
