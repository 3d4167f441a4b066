"""The sandbox as a web application, and as a running server with its clock and its webhooks."""

import threading
from pathlib import Path

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.account import add_endpoint
from sandbox.api import api, publish
from sandbox.control import control
from sandbox.dashboard import dashboard
from sandbox.hosted import hosted
from sandbox.idempotency import Keys
from sandbox.passing_time import catch_up
from sandbox.portal import portal
from sandbox.webhooks import Webhooks
from sandbox.world import Sandbox

TICK = 1.0


def create_app(sandbox: Sandbox) -> Flask:
    app = Flask(__name__)
    app.extensions.update(sandbox=sandbox, keys=Keys(sandbox), webhooks=Webhooks(sandbox))
    for door in (api, hosted, portal, control, dashboard):
        app.register_blueprint(door)
    return app


class Quiet(WSGIRequestHandler):
    """No line per request, and no trace for a reader that went away."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: object = None) -> None:
        pass


class RunningSandbox:
    """`port=0` takes a free one; `url` says which."""

    def __init__(
        self,
        port: int,
        webhook_url: str | None,
        secret: str,
        state: Path | None = None,
        *,
        live: bool = False,
    ) -> None:
        self.sandbox = Sandbox(state=state, live=live)
        self.app = create_app(self.sandbox)
        self.server: BaseWSGIServer = make_server("127.0.0.1", port, self.app, threaded=True, request_handler=Quiet)
        self.sandbox.base_url = self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.stopped = threading.Event()
        if webhook_url:
            self.point_webhooks(webhook_url, secret)

    def point_webhooks(self, url: str, secret: str) -> None:
        """One endpoint is the program's own: a restart with another address moves it."""
        own = self.sandbox.store.where("webhook_endpoint", _own=True)
        endpoint = own[0] if own else add_endpoint(self.sandbox, url, secret, ["*"])
        endpoint.update(url=url, _secret=secret, _own=True)

    def serve(self) -> None:
        threading.Thread(target=self.tick, daemon=True, name="clock").start()
        self.server.serve_forever(poll_interval=0.01)

    def tick(self) -> None:
        """What falls due while nobody moves the clock."""
        while not self.stopped.wait(TICK):
            with self.sandbox.lock, self.app.app_context():
                if catch_up(self.sandbox):
                    publish(self.sandbox)

    def stop(self) -> None:
        self.stopped.set()
        self.app.extensions["webhooks"].stop()
        self.server.shutdown()
        self.server.server_close()
