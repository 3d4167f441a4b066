"""A local AI provider that speaks OpenAI's and Anthropic's wire formats, with delays and faults on request.

`python -m tests.support.provider_server --port N` runs it by itself; tests use `with ProviderServer() as provider:`.
How it answers is a `Script`: the server's own, then what `POST /_control` set, then the markers in the last message
or the model's name (`[[fault:cut after=3]]`, `[[tokens=500 delay=0.01]]`). `GET /_control` tells what was asked.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import Counter, deque
from typing import Any, Self

from tests.support.provider_wire import (
    LAST_CHUNK,
    Request,
    Script,
    anthropic_events,
    chunked,
    error_body,
    openai_events,
    spoilt_event,
    start_of_stream,
    unsupported,
    whole_anthropic_answer,
    whole_openai_answer,
)

MID_STREAM = ("hang", "cut", "close", "reset", "garbage", "bad_json", "long_line", "error_event")
SPOILT = ("garbage", "bad_json", "long_line", "error_event")
REMEMBERED = 200
MODELS = {"object": "list", "data": [{"id": "m", "object": "model"}]}
NO_API = b"<html><p>Please sign in to the network</p></html>"
REPLAYED = {"/responses": b'"response.', "/embeddings": b'"data"'}
"""Addresses that are answered only by a stored body in their own format, by what marks it."""


class _Gone(Exception):
    """The connection is to be dropped now."""


class ProviderServer:
    """Serves on loopback from a thread of its own; `url` has no `/v1`, `openai_url` has."""

    def __init__(self, port: int = 0, **script: Any) -> None:
        self.script = Script().changed(script)
        self.bodies: dict[str, bytes] = {}
        self.requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self.counts: Counter[str] = Counter()
        self.active = self.most_active = 0
        self.port = port
        self._open: dict[asyncio.StreamWriter, asyncio.StreamReader] = {}
        self.closes_idle = False
        """Whether a connection is closed as another request is on its way to it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="provider", daemon=True)
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the local provider did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def configure(self, **script: Any) -> None:
        """Answer like this from now on, where markers do not say otherwise."""
        self.script = self.script.changed(script)

    def reset(self) -> None:
        """Forget what was asked and configured."""
        self.script = Script()
        self.closes_idle = False
        self.requests.clear()
        self.counts.clear()
        self.most_active = 0

    @property
    def count(self) -> int:
        return self.counts["answers"]

    @property
    def connections(self) -> int:
        return self.counts["connections"]

    @property
    def last(self) -> dict[str, Any]:
        """The last request for an answer: path, headers, body."""
        return self.requests[-1]

    def drop_connections(self) -> None:
        """Close every connection that is open now, as a provider does that restarts."""
        for writer in list(self._open):
            self._loop.call_soon_threadsafe(writer.close)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._converse, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after another."""
        self.counts["connections"] += 1
        self._open[writer] = reader
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._answer_next(reader, writer):
                if self.closes_idle:
                    await reader.read(1)
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, _Gone):
            pass  # the caller has gone, or the server stops
        finally:
            del self._open[writer]
            writer.close()

    async def _answer_next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        lines = (line.partition(":") for line in head[1:])
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path == "/_control":
            return await self._control(method, body, writer)
        if path.endswith("/models"):
            return await self._send_json(writer, 200, MODELS)
        body_kept = self.bodies.get(self.script.replay, b"")
        replayed = [end for end, mark in REPLAYED.items() if mark in body_kept]
        if method != "POST" or not path.endswith(("/chat/completions", "/messages", *replayed)):
            return await self._send_json(writer, 404, {"error": {"message": f"no {path} here"}})
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            return await self._answer(path, headers, body, writer)
        finally:
            self.active -= 1

    async def _control(self, method: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        settings = json.loads(body or b"{}")
        if method == "DELETE" or settings.pop("reset", False):
            self.reset()
        self.bodies.update({name: text.encode() for name, text in settings.pop("bodies", {}).items()})
        self.configure(**settings)
        told = {"count": self.count, "active": self.active, "most_active": self.most_active}
        return await self._send_json(writer, 200, {**told, "requests": list(self.requests)})

    async def _answer(self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        request = Request(json.loads(body), len(body))
        is_anthropic = path.endswith("/messages")
        self.requests.append({"path": path, "headers": headers, "body": request.body})
        self.counts["answers"] += 1
        script = self._script_for(request)
        if script.fault == "drop":
            raise _Gone
        if script.fault == "hang_headers":
            await self._hang(writer)
        await asyncio.sleep(script.first_delay)
        if script.refused in request.body:
            return await self._send_json(writer, 400, unsupported(script.refused))
        if script.fault.isdigit():
            return await self._refuse(writer, script, is_anthropic=is_anthropic)
        if script.fault == "wrong_type":
            return await self._send(writer, 200, NO_API, "text/html")
        if script.replay:
            return await self._replay(writer, script)
        if not request.body.get("stream"):
            whole = (whole_anthropic_answer if is_anthropic else whole_openai_answer)(script, request)
            return await self._send_json(writer, 200, whole)
        return await self._stream(writer, script, request, is_anthropic=is_anthropic)

    def _script_for(self, request: Request) -> Script:
        told = request.model + request.last_text
        script = self.script.told(told)
        self.counts[told] += 1
        if script.times and self.counts[told] > script.times:
            return script.changed({"fault": ""})
        return script

    async def _refuse(self, writer: asyncio.StreamWriter, script: Script, *, is_anthropic: bool) -> bool:
        status = int(script.fault)
        more = f"retry-after: {script.retry_after}\r\n" if script.retry_after else ""
        body = json.dumps(error_body(status, script.code, is_anthropic=is_anthropic)).encode()
        return await self._send(writer, status, body, "application/json", more)

    async def _send_json(self, writer: asyncio.StreamWriter, status: int, body: object) -> bool:
        return await self._send(writer, status, json.dumps(body).encode(), "application/json")

    async def _send(self, writer: asyncio.StreamWriter, status: int, body: bytes, kind: str, headers: str = "") -> bool:
        head = f"HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\n{headers}"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    async def _replay(self, writer: asyncio.StreamWriter, script: Script) -> bool:
        """Send a stored body in pieces of that many bytes, each as a chunk of its own."""
        body = self.bodies[script.replay]
        size = script.pieces or len(body) or 1
        head, frame = start_of_stream(script.framing)
        writer.write(head)
        for start in range(0, len(body), size):
            writer.write(frame(body[start : start + size]))
            await writer.drain()
        return await self._finish(writer, script.framing)

    async def _finish(self, writer: asyncio.StreamWriter, framing: str) -> bool:
        """End the body; says whether the connection stays open."""
        writer.write(LAST_CHUNK if framing == "chunked" else b"")
        await writer.drain()
        return framing == "chunked"

    async def _stream(
        self, writer: asyncio.StreamWriter, script: Script, request: Request, *, is_anthropic: bool
    ) -> bool:
        events = (anthropic_events if is_anthropic else openai_events)(script, request)
        head, frame = start_of_stream(script.framing)
        writer.write(head)
        said = 0
        for kind, event in events:
            if kind in ("text", "tail") and script.fault in MID_STREAM and said >= script.after:
                return await self._break_off(writer, script, is_anthropic=is_anthropic)
            if kind in ("text", "reasoning"):
                said += kind == "text"
                if script.delay:
                    await asyncio.sleep(script.delay)
            writer.write(frame(event))
            await writer.drain()
            if kind == "tail" and script.fault == "linger_early":
                await self._hang(writer)
        if script.fault == "linger":
            await self._hang(writer)
        return await self._finish(writer, script.framing)

    async def _hang(self, writer: asyncio.StreamWriter) -> None:
        """Say nothing until the other side hangs up."""
        await self._open[writer].read(1)
        raise _Gone

    async def _break_off(self, writer: asyncio.StreamWriter, script: Script, *, is_anthropic: bool) -> bool:
        if script.fault == "hang":
            await self._hang(writer)
        if script.fault == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        if script.fault in ("reset", "close"):
            raise _Gone
        if script.fault in SPOILT:
            spoilt = spoilt_event(script.fault, is_anthropic=is_anthropic)
            writer.write(chunked(spoilt) if script.framing == "chunked" else spoilt)
        return await self._finish(writer, script.framing)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("port", 0), ("tokens", 20), ("delay", 0.0)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args()
    with ProviderServer(options.port, tokens=options.tokens, delay=options.delay) as provider:
        print(f"provider listens at {provider.url}", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
