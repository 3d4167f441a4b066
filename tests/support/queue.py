"""The queue's jobs done in the test's own process."""

from unittest.mock import patch

from flask import Flask

from app.worker import make_worker


def work_off(app: Flask) -> None:
    """Do all that waits, as the worker does; without the channel to stop it by, which takes a quarter of a second."""
    worker = make_worker(app)
    with patch.multiple(worker, subscribe=lambda: None, unsubscribe=lambda: None):
        worker.work(burst=True, logging_level="CRITICAL")
