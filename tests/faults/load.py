"""People who ask while things break, and a pulse that is felt throughout."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.crowding import patient
from tests.support.people import heard
from tests.support.running_app import await_that

BEAT = 0.1
SLOWEST = 5.0
PATIENCE = 60
MENDS_ITSELF = {"broken", "503"}
"""What a client tries again, as its user would: the server is away, or its database is."""


class Pulse(threading.Thread):
    """Asks `/healthz` ten times a second: `slowest` answer in seconds, and how many took more than one (`slow`).

    Where nobody answers, either nobody listens (`refused`), for so long at most, or the connection is cut.
    It shares its process with the provider and the people, so on a busy machine it is itself late now and then;
    how busy it is stretches the bounds.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.slowest, self.beats, self.late, self.slow = url, 0.0, 0, 0, 0
        self.missed, self.refused, self.longest_away = 0, 0, 0.0
        self._away_since: float | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            while not self._ended.wait(BEAT):
                began = time.monotonic()
                try:
                    session.get(f"{self.url}/healthz", timeout=30)
                except requests.RequestException as error:
                    self._note_missed(error, began)
                    continue
                took = time.monotonic() - began
                self._away_since = None
                self.beats += 1
                self.slow += took > 1
                self.late += took > patient(1)
                self.slowest = max(self.slowest, took)

    def _note_missed(self, error: requests.RequestException, now: float) -> None:
        self.missed += 1
        if "refused" in str(error):
            self.refused += 1
            self._away_since = self._away_since or now
            self.longest_away = max(self.longest_away, now - self._away_since)

    @property
    def is_steady(self) -> bool:
        """Never away for long, and hardly ever late."""
        return self.slowest < patient(SLOWEST) and self.late <= 1 + self.beats // 50

    def forget(self) -> None:
        self.slowest, self.beats, self.late = 0.0, 0, 0

    def stop(self) -> None:
        self._ended.set()
        self.join(40)


def ask(url: str, headers: dict[str, str], content: str) -> str:
    """One question in a chat of its own; how it ended: done, an error's code, a status, or `broken` connection."""
    try:
        made = requests.post(f"{url}/api/chats", json={"model": "gpt-test"}, headers=headers, timeout=PATIENCE)
        if made.status_code != 201:
            return str(made.status_code)
        path = f"{url}/api/chats/{made.json()['id']}/messages"
        answer = requests.post(path, json={"content": content}, headers=headers, timeout=PATIENCE)
        if answer.status_code != 200:
            return str(answer.status_code)
        name, body = heard(answer.content).events[-1]
    except (requests.RequestException, IndexError):
        return "broken"
    return name if name == "done" else body.get("code", "broken")


class Crowd:
    """Asks many questions, some at a time, in the background; `ends` counts how they ended."""

    def __init__(self, url: str, headers: dict[str, str], *, at_once: int = 8) -> None:
        self.url, self.headers = url, headers
        self.ends: Counter[str] = Counter()
        self.tries = 0
        self._at_once, self._pool = at_once, ThreadPoolExecutor(at_once)
        self._asked: list[object] = []

    def ask(self, contents: Iterable[str]) -> None:
        self._asked += [self._pool.submit(self._ask, content) for content in contents]

    def keep_busy(self) -> None:
        """Ask more where nearly all have ended."""
        waiting = len(self._asked) - self.ended
        self.ask(f"question {len(self._asked) + number}" for number in range(4 * self._at_once - waiting))

    def _ask(self, content: str) -> None:
        """Tried five times, with pauses; each try is a question of its own."""
        for pause in (1, 2, 4, 8, 0):
            self.tries += 1
            end = ask(self.url, self.headers, content)
            if end not in MENDS_ITSELF:
                break
            time.sleep(pause)
        self.ends[end] += 1

    @property
    def ended(self) -> int:
        return sum(self.ends.values())

    def await_more(self, count: int, seconds: float = 60) -> None:
        """Until so many more have ended, or all have."""
        enough = min(self.ended + count, len(self._asked))
        await_that(lambda: self.ended >= enough, seconds)

    def join(self) -> Counter[str]:
        self._pool.shutdown(wait=True)
        return self.ends
