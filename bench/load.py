"""The load: a process of its own that opens raw connections, asks, and times what comes back.

`python -m bench.load` reads a job as JSON on standard input and prints its findings as JSON:
{"requests": [{"port", "path", "headers", "body"}, ...], "at_once": N}
-> {"seconds", "first_token_ms": [...], "gap_ms": [...], "done", "failed"}
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

TOKEN = b'"word'
"""How every token of the stand-in begins, whatever it is wrapped in; a first event may have no text yet."""

LAST_CHUNK = b"0\r\n\r\n"
ENDS = (b"event: done", b"[DONE]", b'"finish_reason":"stop"', b'"usage"', b"event: message_stop")


@dataclass
class Findings:
    """What one run came to."""

    first_token_ms: list[float] = field(default_factory=list)
    gap_ms: list[float] = field(default_factory=list)
    done: int = 0
    failed: int = 0


async def ask(request: dict[str, Any], findings: Findings) -> None:
    """One request on a connection of its own, read to its end."""
    body = json.dumps(request["body"]).encode()
    lines = [f"POST {request['path']} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in request["headers"].items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", request["port"])
    writer.write("\r\n".join(lines).encode() + body)
    await read_answer(reader, began, findings)
    writer.close()


async def read_answer(reader: asyncio.StreamReader, began: float, findings: Findings) -> None:
    """Time the first token and the silences between tokens; done where the answer says that it ended."""
    last, ended, tail = 0.0, False, b""
    while piece := await reader.read(65536):
        now, seen = time.perf_counter(), tail + piece
        if not last and TOKEN in seen:
            findings.first_token_ms.append((now - began) * 1000)
            last = now
        elif last and TOKEN in piece:
            findings.gap_ms.append((now - last) * 1000)
            last = now
        ended = ended or any(mark in seen for mark in ENDS)
        if ended and seen.endswith(LAST_CHUNK):
            break
        tail = seen[-32:]
    findings.done += ended
    findings.failed += not ended


async def run(requests: list[dict[str, Any]], at_once: int) -> Findings:
    findings, waiting = Findings(), iter(requests)

    async def work() -> None:
        for request in waiting:
            try:
                await asyncio.wait_for(ask(request, findings), 120)
            except (OSError, TimeoutError):
                findings.failed += 1

    await asyncio.gather(*(work() for _ in range(at_once)))
    return findings


def main() -> None:
    job = json.load(sys.stdin)
    began = time.perf_counter()
    findings = asyncio.run(run(job["requests"], job["at_once"]))
    json.dump({"seconds": time.perf_counter() - began, **vars(findings)}, sys.stdout)


if __name__ == "__main__":
    main()
