"""Delivers webhooks as Stripe does, from a process of its own: signed, each on a connection of its own.

`python -m bench.deliveries FILE PORT SECRET AT_ONCE PER_SECOND` sends each line of FILE (a body) once and prints
{"seconds", "refused"} as JSON; PER_SECOND 0 is as fast as they are taken.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def signed(body: bytes, secret: str) -> bytes:
    moment = int(time.time())
    mark = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    lines = ["POST /webhooks/stripe HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"Stripe-Signature: t={moment},v1={mark}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def deliver(port: int, request: bytes) -> bool:
    """Whether it was taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


async def send(port: int, requests: Iterator[bytes], at_once: int, per_second: float) -> int:
    """All of them; how many were refused."""
    refused, began, sent = 0, time.monotonic(), 0

    async def work() -> None:
        nonlocal refused, sent
        for request in requests:
            sent += 1
            if per_second:
                await asyncio.sleep(max(0.0, began + sent / per_second - time.monotonic()))
            refused += not await deliver(port, request)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return refused


def main() -> None:
    file, port, secret, at_once, per_second = sys.argv[1:]
    requests = [signed(body, secret) for body in Path(file).read_bytes().splitlines()]
    began = time.perf_counter()
    refused = asyncio.run(send(int(port), iter(requests), int(at_once), float(per_second)))
    json.dump({"seconds": time.perf_counter() - began, "refused": refused}, sys.stdout)


if __name__ == "__main__":
    main()
