"""Every bounded thing has a share for each account, and what is counted is held. security.md 28 and 30."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, g

from app.extensions import db
from app.generation.registry import GenerationRegistry, TooManyReaders, give_place_back, share
from app.models.catalog.setting import Setting
from app.models.chat.attachment import MOST_UNSENT, Attachment
from app.models.identity import password
from app.models.identity.account import Account
from app.models.identity.user import User, UserSession
from app.models.metering.refusal import InvalidRequest
from tests.auth.conftest import Browser
from tests.support import Database, people
from tests.support.people import PASSWORD


@pytest.fixture
def ada(session: Database) -> Account:
    account = people.person("ada")
    session.commit()
    return account


def test_one_account_that_follows_leaves_room_for_all_others(app: Flask) -> None:
    registry, most = GenerationRegistry(), share(app.config["WEB_THREADS"])
    assert most * 5 < app.config["WEB_THREADS"]
    with app.app_context():
        places = [place_of(registry, "account-1") for _number in range(most)]
        with pytest.raises(TooManyReaders):
            registry.follow_as("account-1")
        places.append(place_of(registry, "account-2"))
        assert registry.readers == most + 1
        for leave in places:
            leave()
    assert (registry.readers, dict(registry.followers)) == (0, {})


def place_of(registry: GenerationRegistry, follower: str) -> Callable[[], None]:
    """A place that is kept, as a stream keeps it; returns what gives it back."""
    registry.follow_as(follower)
    leave: Callable[[], None] = g.pop("leave_place")
    return leave


def test_a_follower_who_is_refused_after_all_gives_the_place_back(app: Flask) -> None:
    registry = GenerationRegistry()
    for _number in range(2 * share(app.config["WEB_THREADS"])):
        with app.app_context():
            registry.follow_as("account-1")
            give_place_back()
    assert (registry.readers, dict(registry.followers)) == (0, {})


@pytest.fixture
def slow_hasher(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how many hash at once."""
    running, most, lock, go = 0, [0], threading.Lock(), threading.Event()

    class Slow:
        def hash(self, word: str) -> str:
            nonlocal running
            with lock:
                running += 1
                most[0] = max(most[0], running)
            go.wait(0.02)
            with lock:
                running -= 1
            return word

    monkeypatch.setattr(password, "HASHER", Slow())
    return most


def test_as_many_passwords_are_hashed_at_once_as_there_are_processors(slow_hasher: list[int]) -> None:
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(password.hashed, ["a password"] * 80))
    assert slow_hasher == [len(os.sched_getaffinity(0))]


def test_too_many_that_wait_are_sent_away_and_places_come_back(
    slow_hasher: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password, "PLACES", threading.BoundedSemaphore(5))
    with ThreadPoolExecutor(40) as pool:
        tried = [pool.submit(password.hashed, "a password") for _number in range(40)]
    refused = [one for one in tried if isinstance(one.exception(), password.HashingBusy)]
    assert 0 < len(refused) < 40
    assert password.hashed("a password")


def test_a_hash_that_is_refused_is_told_in_words(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "PLACES", threading.Semaphore(0))
    guest = Browser(app.test_client())
    answer = guest.send("/login", email="ada@example.com", password=PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.databases("sqlite", "postgresql")
def test_files_that_come_at_once_do_not_pass_the_bound(app: Flask, ada: Account) -> None:
    actor = people.actor(ada)

    def put(number: int) -> bool:
        with app.app_context():
            try:
                Attachment.keep(actor, f"{number}.txt", b"a file")
                db.session.commit()
            except InvalidRequest:
                return False
            return True

    with ThreadPoolExecutor(6) as pool:
        kept = list(pool.map(put, range(2 * MOST_UNSENT)))
    assert kept.count(True) == MOST_UNSENT == db.session.query(Attachment).count()


@pytest.mark.databases("sqlite", "postgresql")
def test_sign_ups_at_once_do_not_pass_the_bound_of_the_day(
    app: Flask, new_browser: Callable[[], Browser], session: Database
) -> None:
    Setting.put("signups_per_day", 3)
    session.commit()
    browsers = [new_browser() for _number in range(6)]
    forms = [{"csrf_token": browser.token(), "password": PASSWORD} for browser in browsers]

    def sign_up(number: int) -> int:
        form = forms[number] | {"email": f"p{number}@example.com"}
        return browsers[number].client.post("/signup", data=form).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(sign_up, range(6)))
    session.rollback()
    assert (session.query(User).count(), set(statuses)) == (3, {302, 429})


@pytest.mark.databases("sqlite", "postgresql")
def test_a_session_that_is_begun_with_the_old_password_does_not_outlive_its_change(
    app: Flask, ada: Account, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is changed between the check of the old one and the session."""
    checked = User.authenticate

    def changed_meanwhile(email: str, word: str) -> User | None:
        user = checked(email, word)
        db.session.expunge_all()
        db.session.rollback()
        with app.app_context():
            User.with_email(email).set_password("another good password")
            db.session.commit()
        return user

    monkeypatch.setattr(User, "authenticate", changed_meanwhile)
    guest = Browser(app.test_client())
    assert guest.send("/login", email="ada@example.com", password=PASSWORD).status_code == 400
    session.rollback()
    assert session.query(UserSession).count() == 0
