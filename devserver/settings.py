"""The environment of a development run, also written down for commands such as `flask billing audit`."""

import hashlib
import json
import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from devserver import procfile
from devserver.ports import free_port, is_free
from devserver.redis_binary import find_redis_server

INSTANCE = procfile.PROJECT / "instance"
WRITTEN_DOWN = INSTANCE / "development.json"
LONGEST_SOCKET_PATH = 100
"""Unix sockets have names of at most 104 to 108 bytes."""


def for_run(port: int) -> dict[str, str]:
    """What `make run` decides itself; what the person has set in the environment wins."""
    decided = {
        "APP_ENV": "development",
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "REDIS_URL": f"unix://{redis_socket()}"
        if find_redis_server()
        else f"redis://127.0.0.1:{free_port()}/0",
    }
    if not os.environ.get("STRIPE_SECRET_KEY"):
        decided |= sandbox_payments()
    return decided | {name: value for name in decided if (value := os.environ.get(name))}


def sandbox_payments() -> dict[str, str]:
    """The local stand-in for Stripe, as the app is told of it: an address, a key, a signing secret.

    Those of the last run, where the port is still free: links and events of then go on working.
    """
    last = {name: value for name, value in written_down().items() if name.startswith("STRIPE_")}
    if last and is_free(urlsplit(last["STRIPE_API_BASE"]).port or 0):
        return last
    return {
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
        "STRIPE_SECRET_KEY": f"sk_test_sandbox{secrets.token_hex(12)}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_sandbox{secrets.token_hex(16)}",
    }


def redis_socket() -> Path:
    """In `instance/`, or in the system's folder for such things where that path is too long."""
    usual = INSTANCE / "redis.sock"
    if len(os.fsencode(usual)) < LONGEST_SOCKET_PATH:
        return usual
    name = hashlib.sha256(os.fsencode(INSTANCE)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tollgate-{os.getuid()}-{name}.sock"


def written_down() -> dict[str, str]:
    """What the last run decided; nothing where there was none."""
    decided: dict[str, str] = json.loads(WRITTEN_DOWN.read_text()) if WRITTEN_DOWN.exists() else {}
    return decided


def write_down(decided: dict[str, str]) -> None:
    WRITTEN_DOWN.touch(mode=0o600)
    WRITTEN_DOWN.write_text(json.dumps(decided, indent=2))
