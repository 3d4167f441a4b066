"""The generations that run in this process: started, checkpointed once a second, stopped, ended in time."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from flask import Flask, current_app, g

from app.extensions import db
from app.generation.generation import Generation
from app.generation.text_checkpoint import KeptText, TextTable, renew
from app.generation.upstream import upstream_prompt
from app.jobs import JobName
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.metering.reservation import Reservation
from app.providers.base import Prompt, Provider

log = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 1.0
THREADS_FOR_PAGES = 14


class Busy(Exception):
    """All threads that may hold streams do."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("Many answers are being written right now. Try again in a few seconds; nothing was charged.")


class TooManyReaders(Exception):
    """One account, or one network of guests, follows as many answers at once as its share of the threads is."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("Too many windows are following this account's answers. Close some, then try again.")


class GenerationRegistry:
    """Registry of this process's running turns, and the one thread that checkpoints them all."""

    def __init__(self) -> None:
        self.by_call: dict[int, Generation] = {}
        self.readers = 0
        self.followers: Counter[str] = Counter()
        self.is_ending = False
        self.lock = threading.Lock()
        self.checkpointer: threading.Thread | None = None

    def start(self, generation: Generation, provider: Provider, prompt: Prompt) -> None:
        """From now on whoever follows reads it; the text is checkpointed as long as it runs."""
        generation.steps = self._steps(generation, provider, prompt)
        with self.lock:
            self.by_call[generation.reservation.usage_id] = generation
            if self.checkpointer is None or not self.checkpointer.is_alive():
                self.checkpointer = threading.Thread(target=self._checkpoint_all, args=(generation.app,), daemon=True)
                self.checkpointer.start()

    def get(self, call_id: int | None) -> Generation | None:
        return self.by_call.get(call_id or 0)

    def stop(self, call_id: int | None) -> None:
        """At once where it runs here; another process hears of it from its row."""
        if generation := self.get(call_id):
            generation.stop()

    def take_place(self, follower: str | None = None) -> None:
        """A thread for the reader of this request, counted from now on. Busy where only those for pages are left."""
        with self.lock:
            if follower and self.followers[follower] >= share(current_app.config["WEB_THREADS"]):
                raise TooManyReaders
            if self.readers >= max(1, current_app.config["WEB_THREADS"] - THREADS_FOR_PAGES):
                raise Busy
            self.readers += 1
            self.followers.update([follower] if follower else [])
        g.leave_place = self.reader_left

    def follow_as(self, follower: str) -> None:
        """A place for one who comes back to an answer, out of the share of `follower`.

        TooManyReaders where the share is taken: whoever began an answer has its place beside it.
        """
        self.take_place(follower)

        def leave() -> None:
            with self.lock:
                self.followers[follower] -= 1
                self.followers += Counter()
            self.reader_left()

        g.leave_place = leave

    def reader_left(self) -> None:
        with self.lock:
            self.readers -= 1

    def end_all(self, patience: float = 10.0) -> None:
        """The process is asked to go: interrupt what runs, and wait until it is settled."""
        for generation in list(self.by_call.values()):
            generation.interrupt()
        deadline = time.monotonic() + patience
        while self.by_call and time.monotonic() < deadline:
            time.sleep(0.05)

    def _steps(self, generation: Generation, provider: Provider, prompt: Prompt) -> Iterator[None]:
        try:
            yield from generation.run(provider, prompt)
        except Exception:
            log.exception("could not end call %s", generation.reservation.usage_id)
        finally:
            with self.lock:
                self.by_call.pop(generation.reservation.usage_id, None)

    def _checkpoint_all(self, app: Flask) -> None:
        """Once a second write every running text: it renews the leases, and brings the stops of other processes."""
        while True:
            time.sleep(CHECKPOINT_SECONDS)
            with self.lock:
                running = list(self.by_call.values())
                if not running:
                    self.checkpointer = None
                    return
            try:
                self._checkpoint(app, running)
            except Exception as error:  # whatever it is, the texts are saved a second later
                log.warning("checkpoint failed: %s", type(error).__name__)
            for generation in running:
                try:
                    generation.tend()
                # no more threads, or a connection that has just closed
                except (OSError, RuntimeError, ValueError):
                    log.exception("could not tend call %s", generation.reservation.usage_id)

    def _checkpoint(self, app: Flask, running: list[Generation]) -> None:
        now, kept = utcnow(), [generation for generation in running if generation.kept]
        lone = [generation.reservation for generation in running if not generation.kept]
        with app.app_context():
            stopped = {
                (table, row_id) for table, texts in texts_of(kept).items() for row_id in table.checkpoint(texts, now)
            }
            if lone:
                renew(((call.account_id, call.usage_id) for call in lone), now)
            db.session.commit()
        for generation in kept:
            if key_of(generation) in stopped and not generation.is_stopping:
                generation.stop()


def key_of(generation: Generation) -> tuple[TextTable, int] | None:
    return (generation.kept.table, generation.kept.row_id) if generation.kept else None


def texts_of(running: list[Generation]) -> dict[TextTable, dict[KeptText, str]]:
    """What there is of each text so far, by the table that keeps it."""
    texts: dict[TextTable, dict[KeptText, str]] = {}
    for generation in running:
        if generation.kept:
            texts.setdefault(generation.kept.table, {})[generation.kept] = generation.text
    return texts


def share(threads: int) -> int:
    """How many of a process's threads one account may hold by following answers: a tenth, and three at least."""
    return max(3, (threads - THREADS_FOR_PAGES) // 10)


live = GenerationRegistry()


def begin(
    reservation: Reservation,
    model: AIModel,
    provider: Provider,
    *,
    kept: KeptText | None = None,
    follow_up: tuple[JobName, int] | None = None,
    made: Callable[..., Generation] = Generation,
) -> Generation:
    """Start the answer of a committed reservation."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    generation = made(app, reservation, kept, follow_up)
    live.start(generation, provider, upstream_prompt(model, reservation.prompt))
    return generation


def give_place_back(_error: BaseException | None = None) -> None:
    """A request that took a place and came to no stream, because it was refused, gives it back."""
    leave = g.pop("leave_place", None)
    if leave:
        leave()
