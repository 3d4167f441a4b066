"""`python -m sandbox --port N --webhook-url URL --secret S [--state FILE]`."""

import argparse
import contextlib
import signal
import sys
from pathlib import Path
from types import FrameType

from sandbox.server import RunningSandbox


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("sandbox", description="A local stand-in for Stripe. No real money.")
    parser.add_argument("--port", type=int, default=4242)
    parser.add_argument("--webhook-url")
    parser.add_argument("--secret", default="whsec_sandbox")
    parser.add_argument("--state", type=Path)
    return parser.parse_args()


def leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    wanted = arguments()
    try:
        running = RunningSandbox(wanted.port, wanted.webhook_url, wanted.secret, wanted.state)
    except OSError as error:
        sys.exit(f"The sandbox cannot listen on port {wanted.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, leave)
    sys.stdout.write(f"Sandbox payments: {running.url} (no real money)\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        running.serve()


if __name__ == "__main__":
    main()
