"""The main tasks in Firefox and WebKit: `make browsers`, which `make test` does not do.

Firefox is spoken to by Marionette, WebKit by WebKitWebDriver: two ways to send the commands of W3C's WebDriver.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from devserver.ports import free_port
from tests.support.people import PASSWORD
from tests.support.running_app import RunningApp
from tests.support.screenshots import running

ENTER = "\ue007"
NEEDED = {"firefox": ("firefox",), "webkit": ("WebKitWebDriver", "Xvfb")}
COMPOSITION = """
const field = document.querySelector("#content");
const press = (more) => {
  const event = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...more });
  if (more.keyCode) Object.defineProperty(event, "keyCode", { value: more.keyCode });
  field.dispatchEvent(event);
};
field.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
press({ isComposing: true });
field.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
press({ keyCode: 229 });
return document.querySelectorAll("article.question").length;
"""
Send = Callable[[str, str, dict[str, Any]], Any]


class Browser:
    """A browser at the app. `send(method, path, body)`: a command below the session's address."""

    def __init__(self, send: Send, app: RunningApp) -> None:
        self.send, self.app = send, app

    def go(self, path: str) -> None:
        self.send("POST", "url", {"url": self.app.url + path})

    def run(self, script: str, *arguments: Any) -> Any:
        return self.send("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def until(self, condition: str, seconds: float = 120) -> None:
        """Until the expression is true in the page."""
        deadline = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not {condition}; the page says:\n{self.run('return document.body.innerText')[:2000]}"
                )
            time.sleep(0.2)

    def element(self, selector: str) -> str:
        self.until(f"document.querySelector({json.dumps(selector)})")
        element = self.send("POST", "element", {"using": "css selector", "value": selector})
        return str(next(iter(element.values())))

    def write(self, selector: str, text: str) -> None:
        self.send("POST", f"element/{self.element(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        element = self.element(selector)
        self.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", selector)
        self.send("POST", f"element/{element}/click", {})


def sign_up(browser: Browser) -> None:
    browser.go("/signup")
    browser.write("input[name=email]", "eve@example.com")
    browser.write("input[name=password]", PASSWORD)
    browser.click("main form button[type=submit]")
    browser.until("location.pathname.startsWith('/chat')")


def ask(browser: Browser) -> None:
    """With the price before it, and the stream read to its end."""
    browser.write("#content", "What is a credit?")
    browser.until("document.querySelector('#estimate').textContent.includes('at most')")
    browser.write("#content", ENTER)
    browser.until("document.querySelector('article.answer[data-status=done]')")


def stop(browser: Browser) -> None:
    browser.write("#content", "/demo long" + ENTER)
    browser.click("#send.is-stop")
    browser.until("document.querySelectorAll('article.answer[data-status=stopped]').length === 1")


def compose(browser: Browser) -> None:
    """The Enter that ends a composition sends nothing, in either order of its events."""
    browser.write("#content", "nihon")
    assert browser.run(COMPOSITION) == questions(browser, 2)
    browser.write("#content", ENTER)
    browser.until("document.querySelectorAll('article.answer[data-status=done]').length === 2")


def find_a_draft_again(browser: Browser) -> None:
    browser.write("#content", "a draft that stays")
    chat = browser.run("return location.pathname")
    browser.go("/billing")
    browser.go(chat)
    browser.until("document.querySelector('#content').value === 'a draft that stays'")


def send_while_the_server_is_away(browser: Browser) -> None:
    """It is said, nothing is lost, and the same message goes once the server is back."""
    browser.app.kill("web")
    browser.write("#content", ENTER)
    browser.until("document.querySelector('#refusal').textContent && document.querySelector('#content').value")
    browser.app.start("web")
    browser.app.await_ready()
    browser.write("#content", ENTER)
    browser.until("document.querySelectorAll('article.answer[data-status=done]').length === 3")


def buy_a_pack(browser: Browser) -> None:
    browser.go("/billing")
    browser.click("#buy form button")
    browser.click("#card-success")
    browser.until("location.pathname.startsWith('/billing')")
    browser.go("/billing")
    browser.until("Number(document.querySelector('#balance [data-amount]').textContent.replace(',', '')) > 5000")


def make_a_key(browser: Browser) -> None:
    """Once: its secret is shown, and a reload makes no second one."""
    browser.go("/settings")
    browser.write("#key-name", "robot")
    browser.click("form[action='/settings/keys'] button[type=submit]")
    browser.until("document.querySelector('.secret')")
    browser.go("/settings")
    browser.until("document.body.innerText.split('robot').length === 2")


def questions(browser: Browser, count: int) -> int:
    browser.until(f"document.querySelectorAll('article.question').length === {count}")
    return count


TASKS = (
    *(sign_up, ask, stop, compose, find_a_draft_again, send_while_the_server_is_away, buy_a_pack),
    make_a_key,
)


@contextmanager
def firefox(app: RunningApp) -> Iterator[Browser]:
    with tempfile.TemporaryDirectory() as profile:
        port = free_port()
        with open(f"{profile}/user.js", "w") as file:
            file.write(f'user_pref("marionette.port", {port});\n')
        program = subprocess.Popen(["firefox", "--headless", "--marionette", "--profile", profile, "about:blank"])
        try:
            yield Browser(marionette(port), app)
        finally:
            program.terminate()
            program.wait()


COMMANDS = {"url": "Navigate", "execute/sync": "ExecuteScript", "element": "FindElement"}


def marionette(port: int) -> Send:
    """Commands by Firefox's own line: `length:[0, number, name, arguments]`."""
    line = connected(port)
    reader = line.makefile("rb")

    def receive() -> Any:
        size = b""
        while (byte := reader.read(1)) != b":":
            size += byte
        return json.loads(reader.read(int(size)))

    def command(name: str, body: dict[str, Any]) -> Any:
        text = json.dumps([0, 1, f"WebDriver:{name}", body]).encode()
        line.sendall(b"%d:%s" % (len(text), text))
        _kind, _number, error, result = receive()
        assert error is None, error
        return result.get("value") if isinstance(result, dict) and set(result) == {"value"} else result

    def send(_method: str, path: str, body: dict[str, Any]) -> Any:
        if path in COMMANDS:
            return command(COMMANDS[path], body)
        _element, element, act = path.split("/")
        return command({"value": "ElementSendKeys", "click": "ElementClick"}[act], {"id": element} | body)

    receive()
    command("NewSession", {"acceptInsecureCerts": True})
    return send


def connected(port: int) -> socket.socket:
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("Firefox does not answer")


@contextmanager
def webkit(app: RunningApp) -> Iterator[Browser]:
    port = free_port()
    programs = [subprocess.Popen(["Xvfb", ":77", "-screen", "0", "1280x900x24"])]
    profile = tempfile.mkdtemp()
    environment = {
        "DISPLAY": ":77",
        "PATH": os.environ["PATH"],
        "HOME": profile,
    }
    programs.append(subprocess.Popen(["WebKitWebDriver", f"--port={port}"], env=environment))
    connected(port).close()
    base = f"http://127.0.0.1:{port}/session"
    session = requests.post(base, json={"capabilities": {}}, timeout=120).json()["value"]["sessionId"]

    def send(method: str, path: str, body: dict[str, Any]) -> Any:
        answer = requests.request(method, f"{base}/{session}/{path}", json=body, timeout=120).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    try:
        yield Browser(send, app)
    finally:
        requests.delete(f"{base}/{session}", timeout=60)
        for program in programs:
            program.terminate()
            program.wait()


def main(names: list[str]) -> None:
    for name in names or [*NEEDED]:
        missing = [program for program in NEEDED[name] if not shutil.which(program)]
        if missing:
            tell(f"{name}: not here ({', '.join(missing)})")
            continue
        with running() as app, {"firefox": firefox, "webkit": webkit}[name](app) as browser:
            for task in TASKS:
                task(browser)
                tell(f"{name}: {task.__name__.replace('_', ' ')}")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
