"""A pool whose connections go to those who wait in the order in which they came.

SQLAlchemy's wakes who has waited longest, and lets whoever is quickest take the connection: where many wait, that is
often somebody who came just now, and some wait until their time is up.
"""

import threading
from collections import deque

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty, Queue


class Waiter:
    """Somebody who waits, until they are served."""

    def __init__(self) -> None:
        self.connection: ConnectionPoolEntry | None = None
        self.turn = threading.Lock()
        self.turn.acquire()


class FairQueue(Queue[ConnectionPoolEntry]):
    """What comes back is handed to who has waited longest; it lies here only while nobody waits."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.waiting: deque[Waiter] = deque()

    def put(self, item: ConnectionPoolEntry, block: bool = True, timeout: float | None = None) -> None:
        with self.mutex:
            if self.waiting:
                waiter = self.waiting.popleft()
                waiter.connection = item
                waiter.turn.release()
            else:
                super().put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> ConnectionPoolEntry:
        """Raises Empty where there is none, or none came within `timeout` seconds."""
        with self.mutex:
            if self.queue or not block:
                return super().get(block=False)
            waiter = Waiter()
            self.waiting.append(waiter)
        waiter.turn.acquire(timeout=-1 if timeout is None else timeout)
        with self.mutex:
            if waiter.connection is None:
                self.waiting.remove(waiter)
                raise Empty
            return waiter.connection


class FairPool(QueuePool):
    """SQLAlchemy's pool with that queue."""

    _queue_class = FairQueue
    _pool: FairQueue

    def borrow(self) -> ConnectionPoolEntry:
        """An entry with its connection; the pool keeps nothing but that it is out: see `lent_connection.py`."""
        return self._do_get()

    def give_back(self, entry: ConnectionPoolEntry) -> None:
        self._do_return_conn(entry)
