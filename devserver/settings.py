"""The environment of a development run, also written down for commands such as `flask billing audit`."""

import hashlib
import json
import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from devserver.ports import INSTANCE, free_port, is_free
from devserver.redis_server import find_redis_server

WRITTEN_DOWN = INSTANCE / "development.json"


def for_run(port: int) -> dict[str, str]:
    """What `make run` decides itself, written down; what the person has set in the environment wins."""
    has_redis = find_redis_server() is not None
    decided = {
        "APP_ENV": "development",
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "REDIS_URL": f"unix://{redis_socket()}" if has_redis else f"redis://127.0.0.1:{free_port()}/0",
    }
    if not os.environ.get("STRIPE_SECRET_KEY"):
        decided |= sandbox_payments()
    decided |= {name: value for name in decided if (value := os.environ.get(name))}
    WRITTEN_DOWN.touch(mode=0o600)
    WRITTEN_DOWN.write_text(json.dumps(decided, indent=2))
    return decided


def sandbox_payments() -> dict[str, str]:
    """Those of the last run, where the port is still free: links and events of then go on working."""
    before = json.loads(WRITTEN_DOWN.read_text()) if WRITTEN_DOWN.exists() else {}
    last: dict[str, str] = {name: value for name, value in before.items() if name.startswith("STRIPE_")}
    if last and is_free(urlsplit(last["STRIPE_API_BASE"]).port or 0):
        return last
    return {
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
        "STRIPE_SECRET_KEY": f"sk_test_sandbox{secrets.token_hex(12)}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_sandbox{secrets.token_hex(16)}",
    }


def redis_socket() -> Path:
    """In `instance/`, or in the system's folder where that path is too long: sockets' names end at 104 bytes or so."""
    usual = INSTANCE / "redis.sock"
    if len(os.fsencode(usual)) < 100:
        return usual
    name = hashlib.sha256(os.fsencode(INSTANCE)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tollgate-{os.getuid()}-{name}.sock"
