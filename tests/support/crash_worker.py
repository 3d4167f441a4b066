"""The RQ worker with a crash point armed."""

import importlib
import sys

from app import worker
from tests.support import crash

importlib.import_module("app.payments.jobs")
crash.arm()
worker.main(sys.argv[1:])
