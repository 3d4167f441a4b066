"""The primary is killed while eight people send: nothing is lost, nothing is done twice, and a pause in words ends."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from app.models.chat.chat import Message
from app.models.metering.usage import Usage
from tests.faults.consistency import recover, wrongs
from tests.faults.environment import MODEL, Stage
from tests.support import patroni
from tests.support.people import Heard, heard
from tests.support.running_app import await_that

pytestmark = pytest.mark.long
PEOPLE = 8
MOST_AWAY = 30.0
BEFORE, AFTER = 8, 10
"""Seconds of sending before the primary is killed, and after somebody is answered again."""


class Replicated(Stage):
    """The stage over a primary and its synchronous standby."""

    def __init__(self, folder: Path, cluster: patroni.Cluster) -> None:
        super().__init__("patroni", folder, WEB_THREADS="60")
        self.cluster = cluster

    @property
    def database_url(self) -> str:
        return self.cluster.url()


@dataclass
class Person:
    """Sends one question after another, each until it is answered, always under the key of its first try."""

    url: str
    headers: dict[str, str]
    chat: str
    answers: dict[str, str] = field(default_factory=dict)
    """By question, what was read of an answer that was done."""

    ends: list[str] = field(default_factory=list)
    refusals: list[tuple[float, int, str]] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)

    def send_until(self, over: threading.Event) -> None:
        number = 0
        while not over.is_set():
            number += 1
            self.ask(f"question {number}")

    def look_until(self, over: threading.Event) -> None:
        """Ask for the balance again and again: answers that run wait for the database, and who looks does not."""
        while not over.wait(0.3):
            answer = requests.get(f"{self.url}/api/balance", headers=self.headers, timeout=60)
            if answer.status_code == 200:
                self.accepted.append(time.monotonic())
            else:
                self.refusals.append((time.monotonic(), answer.status_code, answer.text))

    def ask(self, question: str) -> None:
        for _ in range(200):
            answer = self.post(question)
            if answer is None:
                time.sleep(0.5)
                continue
            self.accepted.append(time.monotonic())
            self.ends.append(answer.ended_as if answer.ended_as == "done" else answer.end.get("code", ""))
            if answer.ended_as == "done":
                self.answers[question] = answer.text
            return
        raise AssertionError(f"{question} was never answered: {self.refusals[-3:]}")

    def post(self, question: str) -> Heard | None:
        key = {"Idempotency-Key": f"{self.chat}-{question}"}
        path, body = f"{self.url}/api/chats/{self.chat}/messages", {"content": question}
        answer = requests.post(path, json=body, headers=self.headers | key, timeout=60)
        if answer.status_code != 200:
            self.refusals.append((time.monotonic(), answer.status_code, answer.text))
            return None
        return heard(answer.content)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    if (command := patroni.missing()) and os.environ.get("CI") != "true":
        pytest.skip(f"not installed; on Debian: {command}")
    with patroni.Cluster() as cluster, Replicated(tmp_path_factory.mktemp("failover"), cluster) as stage:
        yield stage


def person(stage: Stage, name: str) -> Person:
    headers = stage.person(name)
    made = requests.post(f"{stage.running.url}/api/chats", json={"model": MODEL}, headers=headers, timeout=30)
    return Person(stage.running.url, headers, made.json()["id"])


def test_a_primary_that_dies_under_load_loses_nothing(stage: Replicated) -> None:
    stage.provider.configure(tokens=40, delay=0.05)
    crowd = [person(stage, f"person{number}") for number in range(PEOPLE)]
    onlooker = person(stage, "onlooker")
    with busy(*(one.send_until for one in crowd), onlooker.look_until):
        time.sleep(BEFORE)
        assert stage.cluster.standby_is_synchronous()
        first = stage.cluster.primary()
        stage.cluster.kill(first)
        killed = time.monotonic()
        await_that(lambda: all(one.accepted[-1] > killed + 5 for one in crowd), 90, failing=stage.cluster.logs)
        time.sleep(AFTER)

    assert stage.cluster.primary() != first
    assert_away_in_words([*crowd, onlooker], killed)
    assert_nothing_lost_nor_twice(stage, crowd)
    recover(stage)
    with stage.looking():
        assert wrongs() == {}
    stage.running.run("flask", "billing", "audit")


@contextmanager
def busy(*doings: Callable[[threading.Event], None]) -> Iterator[None]:
    """Each in a thread of its own, until the block is over."""
    over = threading.Event()
    threads = [threading.Thread(target=doing, args=(over,)) for doing in doings]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(90)


def assert_away_in_words(crowd: list[Person], killed: float) -> None:
    refused = [refusal for one in crowd for refusal in one.refusals]
    assert {status for _at, status, _text in refused} == {503}, refused[:3]
    assert all("try again" in text.lower() for _at, _status, text in refused), refused[:3]
    assert max(at for at, _status, _text in refused) - killed < MOST_AWAY
    assert max(min(at for at in one.accepted if at > killed) for one in crowd) - killed < MOST_AWAY + 5


def assert_nothing_lost_nor_twice(stage: Stage, crowd: list[Person]) -> None:
    """Each question once, each answer that was read to its end as it was read, and paid once."""
    with stage.looking() as session:
        for one in crowd:
            messages = session.query(Message).filter_by(chat_id=int(one.chat)).order_by(Message.id).all()
            asked = [message.content for message in messages if message.role == "user"]
            assert asked == [f"question {number}" for number in range(1, len(asked) + 1)]
            assert len(asked) == len(one.ends)
            questions = {message.id: message.content for message in messages}
            said = [message for message in messages if message.role == "assistant"]
            answers = {questions[message.parent_id or 0]: message for message in said}
            assert len(said) == len(answers) == len(asked)
            for question, text in one.answers.items():
                answer = answers[question]
                call = session.get_one(Usage, answer.call_id)
                assert (answer.content, answer.status, call.state) == (text, "done", "settled")
                assert call.cost_nanos > 0
            calls = session.query(Usage).filter_by(chat_id=int(one.chat), operation="chat").count()
            assert calls == len(asked)
