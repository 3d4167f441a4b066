"""The turns that run in this process: started, checkpointed once a second, stopped, ended in time."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from flask import Flask, current_app, g
from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.generation.generation import RUNNING, Generation
from app.models.base import utcnow
from app.models.catalog.price import AIModel
from app.models.chat.chat import Message
from app.models.metering.reservation import Reservation
from app.providers.base import Prompt, Provider

log = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 1.0
THREADS_FOR_PAGES = 14
MESSAGES: Table = Message.__table__  # type: ignore[assignment]
CHECKPOINT = update(MESSAGES).where(MESSAGES.c.account_id == bindparam("account"), RUNNING)


class Busy(Exception):
    """All threads that may hold streams do."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__(
            "Many answers are being written right now. Try again in a few seconds; nothing was charged."
        )


class GenerationRegistry:
    """Registry of this process's running turns, and the one thread that checkpoints them all."""

    def __init__(self) -> None:
        self.by_message: dict[int, Generation] = {}
        self.readers = 0
        self.is_ending = False
        self.lock = threading.Lock()
        self.checkpointer: threading.Thread | None = None

    def start(self, generation: Generation, provider: Provider, prompt: Prompt) -> None:
        """Run the turn in a thread of its own; the text is checkpointed as long as it runs."""
        with self.lock:
            self.by_message[generation.message_id] = generation
            if self.checkpointer is None or not self.checkpointer.is_alive():
                self.checkpointer = threading.Thread(
                    target=self._checkpoint_all, args=(generation.app,), daemon=True
                )
                self.checkpointer.start()
        threading.Thread(target=self._run, args=(generation, provider, prompt), daemon=True).start()

    def get(self, message_id: int) -> Generation | None:
        return self.by_message.get(message_id)

    def take_place(self) -> None:
        """A thread for the reader of this request, counted from now on. Busy where only those for pages are left."""
        with self.lock:
            if self.readers >= max(1, current_app.config["WEB_THREADS"] - THREADS_FOR_PAGES):
                raise Busy
            self.readers += 1
        g.has_place = True

    def reader_left(self) -> None:
        with self.lock:
            self.readers -= 1

    def end_all(self, patience: float = 10.0) -> None:
        """The process is asked to go: interrupt what runs, and wait until it is settled."""
        for generation in list(self.by_message.values()):
            generation.interrupt()
        deadline = time.monotonic() + patience
        while self.by_message and time.monotonic() < deadline:
            time.sleep(0.05)

    def _run(self, generation: Generation, provider: Provider, prompt: Prompt) -> None:
        try:
            generation.run(provider, prompt)
        finally:
            with self.lock:
                self.by_message.pop(generation.message_id, None)

    def _checkpoint_all(self, app: Flask) -> None:
        """Once a second write every running text: it renews the leases, and brings the stops of other processes."""
        while True:
            time.sleep(CHECKPOINT_SECONDS)
            with self.lock:
                registry = list(self.by_message.values())
                if not registry:
                    self.checkpointer = None
                    return
            try:
                self._checkpoint(app, registry)
            except SQLAlchemyError as error:
                log.warning("checkpoint failed: %s", type(error).__name__)

    def _checkpoint(self, app: Flask, registry: list[Generation]) -> None:
        now = utcnow()
        ordered = sorted(registry, key=lambda generation: generation.message_id)
        rows = [generation.key | {"content": generation.text, "checkpoint_at": now} for generation in ordered]
        with app.app_context():
            connection = db.session.connection()
            connection.execute(CHECKPOINT, rows)
            asked = (
                MESSAGES.c.account_id.in_({generation.reservation.account_id for generation in registry}),
                MESSAGES.c.id.in_([generation.message_id for generation in registry]),
                MESSAGES.c.stop_requested_at.is_not(None),
            )
            stopped = set(connection.scalars(select(MESSAGES.c.id).where(*asked)))
            db.session.commit()
        for generation in registry:
            if generation.message_id in stopped and not generation.is_stopping:
                generation.stop()


live = GenerationRegistry()


def begin(
    reservation: Reservation,
    model: AIModel,
    provider: Provider,
    *,
    ids: tuple[int, int],
    untitled_chat_id: int | None,
) -> Generation:
    """Start the answer of a committed reservation; `ids` are those of the answer and of its question, `untitled`
    that of its chat where a model is to write the title."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    generation = Generation(app, reservation, *ids)
    generation.untitled_chat = untitled_chat_id
    live.start(generation, provider, upstream_prompt(model, reservation.prompt))
    return generation


def upstream_prompt(model: AIModel, prompt: Prompt) -> Prompt:
    """The reserved prompt under the name that its provider knows the model by."""
    return replace(prompt, model=model.upstream_name or model.name)


def give_place_back(_error: BaseException | None = None) -> None:
    """A request that took a place and came to no stream, because it was refused, gives it back."""
    if g.pop("has_place", False):
        live.reader_left()
